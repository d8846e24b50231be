"""Between images, the maps that networks compute with, and codes, which are vectors."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from evae.networks.layers import Centre
from evae.networks.sd_maps import MapDecoder
from evae.wavelets import inverse_haar

PIXELS = 1 << 20
"""In float32, maps of 128 channels take 512 MiB for so many."""


class FromCode(nn.Module):
    """Codes (n, numbers) as maps (n, *shape).

    Codes of smaller or larger images of the same proportions are taken too: with the same channels, and height and
    width multiplied by the same factor.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, codes: Tensor) -> Tensor:
        channels, height, width = self.shape
        scale = math.sqrt(codes.shape[1] / (channels * height * width))
        return codes.unflatten(1, (channels, round(scale * height), round(scale * width)))


class FromBands(nn.Module):
    """Images from the bands of their Haar transform, divided by 2: LiteVAE's second output mode."""

    def forward(self, bands: Tensor) -> Tensor:
        return 2 * inverse_haar(bands)


class InPieces(nn.Sequential):
    """A sequence that, where there are no gradients, takes few images at a time: as many as have `PIXELS` together.

    `pixels` is how many an image has for each number of what goes in; a slice, of which that is not known, takes all
    images at once.
    """

    def __init__(self, parts: Mapping[str, nn.Module], pixels: float = 0.0) -> None:
        super().__init__(OrderedDict(parts))
        self.pixels = pixels

    def forward(self, x: Tensor) -> Tensor:
        whole, pixels = super().forward, self.pixels * x.numel()
        if torch.is_grad_enabled() or pixels <= PIXELS:
            return whole(x)
        return torch.cat([whole(piece) for piece in x.split(max(1, int(len(x) * PIXELS / pixels)))])


def encoder(maps: nn.Module, channels: int, outputs: int, *, one_by_one: bool) -> nn.Sequential:
    """From images of `channels` in [0, 1] to vectors of heads, by `maps` of images in [-1, 1] to `outputs` channels."""
    parts: dict[str, nn.Module] = {"centre": Centre(), "maps": maps}
    if one_by_one:
        parts["quant_conv"] = nn.Conv2d(outputs, outputs, 1)
    return InPieces({**parts, "flatten": nn.Flatten()}, 1 / channels)


def decoder(
    shape: tuple[int, ...], channels: int, widths: Sequence[int], kind: str, *, one_by_one: bool, bands: bool = False
) -> nn.Sequential:
    """From codes to images of `channels`, in [-1, 1] or as logits, by the decoder of the Stable Diffusion VAE; with
    `bands`, which it yields at half the size, by the inverse Haar transform of these."""
    parts: dict[str, nn.Module] = {"code": FromCode(shape)}
    if one_by_one:
        parts["post_quant_conv"] = nn.Conv2d(shape[0], shape[0], 1)
    doublings = len(widths) - 1 - bands
    parts["maps"] = MapDecoder(shape[0], 4 * channels if bands else channels, widths, kind, doublings)
    if bands:
        parts["images"] = FromBands()
    return InPieces(parts, 4 ** (len(widths) - 1) / shape[0])
