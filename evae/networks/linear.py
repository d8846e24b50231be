"""One matrix each way: sparse coding's networks, in the frame of a VAE."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from evae.lazy import nn
from evae.networks.base import Network, check_latent, network
from evae.sizes import ImageSize, sides

STD = 0.05
"""Of the first weights."""


@network
@dataclass(frozen=True, kw_only=True)
class Linear(Network):
    """The linear encoder and decoder of the Poisson VAE (Vafaii et al., NeurIPS 2024), without biases: an image, in all
    channels, times a matrix, and the code times another, of which each column is a picture.

    The outputs are unbounded: for the likelihood `sum_of_squares`, or as logits.
    """

    family: ClassVar[str] = "linear"
    is_linear: ClassVar[bool] = True
    takes_points: ClassVar[bool] = True
    takes_rectangles: ClassVar[bool] = True

    def check(self, image_size: ImageSize, latent: int) -> None:
        check_latent(latent)

    def build(self, image_size: ImageSize, channels: int, latent: int, heads: int) -> tuple[nn.Module, nn.Module]:
        self.check(image_size, latent)
        shape = channels, *sides(image_size)
        pixels = math.prod(shape)
        encoder, decoder = nn.Linear(pixels, heads * latent, bias=False), nn.Linear(latent, pixels, bias=False)
        for layer in (encoder, decoder):
            nn.init.normal_(layer.weight, std=STD)
        return nn.Sequential(nn.Flatten(), encoder), nn.Sequential(decoder, nn.Unflatten(1, shape))
