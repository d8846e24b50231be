"""The convolutional networks of the Poisson VAE: residual cells, with a convolutional or a linear decoder."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from evae.lazy import nn
from evae.networks.base import Network, check_image_size, check_latent, check_width, network
from evae.networks.linear import STD

CHANNELS = 32
FEWEST = 4
"""Channels."""
HALVINGS = {16: 2, 28: 3}
"""How often the encoder halves images of that side, which leaves 4 pixels."""
ENCODER_NODES, DECODER_NODES = 2, 1
"""Convolutions of a cell."""
DENSE = 8
"""Hidden numbers of the encoder's dense block for each that comes in."""
DECODER_STD = 0.1
"""Of the encoder's last weights, beside a convolutional decoder."""


@network
@dataclass(frozen=True, kw_only=True)
class Cells(Network):
    """The convolutional encoder and decoder of the Poisson VAE (Vafaii et al., NeurIPS 2024), for digits of 28 px and
    patches of 16 px: cells of weight-normalised convolutions with squeeze and excitation, and no batch statistics.

    `width` multiplies the channels. The official code's dropout of 0.1 in the encoder's dense block is left out: its
    noise would not be the same for any number of processes. The outputs are unbounded.
    """

    family: ClassVar[str] = "cells"

    width: float = 1.0

    def __post_init__(self) -> None:
        check_width(self.width)

    def check(self, image_size: int, latent: int) -> None:
        check_latent(latent)
        check_image_size(self.family, image_size, HALVINGS)

    @property
    def _channels(self) -> int:
        return max(FEWEST, round(self.width * CHANNELS))

    def build(self, image_size: int, channels: int, latent: int, heads: int) -> tuple[nn.Module, nn.Module]:
        self.check(image_size, latent)
        encoder = _encoder(image_size, channels, self._channels, heads * latent, DECODER_STD)
        return encoder, _decoder(image_size, channels, 8 * self._channels, latent)


@network
@dataclass(frozen=True, kw_only=True)
class CellsLinear(Cells):
    """The convolutional encoder of `cells` with a decoder of one matrix, whose columns are pictures."""

    family: ClassVar[str] = "cells_linear"
    is_linear: ClassVar[bool] = True

    def build(self, image_size: int, channels: int, latent: int, heads: int) -> tuple[nn.Module, nn.Module]:
        self.check(image_size, latent)
        encoder = _encoder(image_size, channels, self._channels, heads * latent, STD)
        shape = channels, image_size, image_size
        pictures = nn.Linear(latent, math.prod(shape), bias=False)
        nn.init.normal_(pictures.weight, std=STD)
        return encoder, nn.Sequential(pictures, nn.Unflatten(1, shape))


def _encoder(image_size: int, channels: int, width: int, outputs: int, std: float) -> nn.Module:
    from evae.networks.cell_blocks import NormedConv, cell, halving_cell, pool
    from evae.networks.residual import normalised_dense

    # 28 px become 26, and their shortcuts leave pixels out, since 13 is odd.
    padded = image_size == 16
    layers: list[nn.Module] = [NormedConv(channels, width, 3, padding=int(padded)), cell(width, ENCODER_NODES)]
    for _ in range(HALVINGS[image_size]):
        layers.append(halving_cell(width, ENCODER_NODES, every_pixel=padded))
        width *= 2
        layers.append(cell(width, ENCODER_NODES))
    last = nn.Linear(width, outputs)
    nn.init.normal_(last.weight, std=std)
    nn.init.zeros_(last.bias)
    return nn.Sequential(*layers, pool(width, 4), nn.Flatten(), normalised_dense(width, DENSE * width), last)


def _decoder(image_size: int, channels: int, width: int, latent: int) -> nn.Module:
    from evae.networks.cell_blocks import NormedConv, cell, doubling_cell

    layers: list[nn.Module] = [nn.Linear(latent, 4 * width), nn.Unflatten(1, (width, 2, 2)), cell(width, DECODER_NODES)]
    side = 2
    while side < image_size:
        layers.append(doubling_cell(width))
        side, width = 2 * side, width // 2
        layers.append(cell(width, DECODER_NODES))
        if side == 16 and image_size == 28:
            layers.append(nn.Upsample(size=14))
            side = 14
    return nn.Sequential(*layers, NormedConv(width, channels, 1))
