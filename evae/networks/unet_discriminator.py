"""The U-Net discriminator (Schonfeld et al., arXiv 2002.12655), which judges every pixel and the image as a whole."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from evae.errors import UserError
from evae.lazy import nn
from evae.networks.base import check_multiple
from evae.networks.discriminator import Discriminator, discriminator
from evae.sizes import ImageSize, sides

WIDTHS = (1, 2, 4, 8, 8, 16)
"""Of the path down, of images of 256 px: 16 at its end."""
LOWEST = 4
"""Pixels: no map is smaller."""


@discriminator
@dataclass(frozen=True, kw_only=True)
class UNetDiscriminator(Discriminator):
    """Residual blocks that halve the side as often as they can, six times at most and down to 4 px, and as many that
    double it, beside what was seen on the way: the discriminator of LiteVAE (Sadat et al., arXiv 2405.14477), of which
    `channels` 16, 32 and 64 have 2.76, 11.0 and 44.1 million parameters at 256 px.

    Two outputs: a logit for each pixel, and one for the image, from the sum of the smallest maps. Every layer but the
    last, which makes the pixels' logits, has its spectral norm divided out. There is no other normalisation, so that
    images may come together or apart. CutMix, which the paper adds, is left out, as by LiteVAE.
    """

    family: ClassVar[str] = "unet"
    takes_rectangles: ClassVar[bool] = True

    channels: int = 16

    def __post_init__(self) -> None:
        if self.channels < 1:
            raise UserError(f"the discriminator's channels must be at least 1, got {self.channels}")

    def check(self, image_size: ImageSize) -> None:
        check_multiple("U-Net", image_size, 8, least=4)

    def widths(self, image_size: ImageSize) -> tuple[int, ...]:
        """Channels after each block of the path down."""
        levels, (height, width) = 1, sides(image_size)
        common, shorter = math.gcd(height, width), min(height, width)
        while levels < len(WIDTHS) and not common % 2 ** (levels + 1) and shorter >> (levels + 1) >= LOWEST:
            levels += 1
        # As the paper has them at 256 and at 128 px, and without the widest at sides that are halved less often.
        widths = WIDTHS if levels == len(WIDTHS) else (1, 2, 4, 8, 16)[:levels]
        return tuple(width * self.channels for width in widths)

    def build(self, image_size: ImageSize, channels: int) -> nn.Module:
        from evae.networks.unet_layers import UNet

        self.check(image_size)
        return UNet(channels, self.widths(image_size))
