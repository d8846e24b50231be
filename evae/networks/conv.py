"""The convolutional networks of Qin & Huang, arXiv 2405.12783v2, appendix C."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from evae.errors import UserError
from evae.lazy import nn
from evae.networks.base import Network, check_latent, check_width, network
from evae.sizes import ImageSize, in_px, sides


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The convolutions' kernel side, the encoder's channels, and the (height, width) in pixels of the image that the
    decoder starts from."""

    kernel: int
    channels: tuple[int, int, int, int]
    start: tuple[int, int]


SMALLEST, LARGEST = 16, 256
"""px: below, nothing is left after four halvings; above, the decoder's first layer has tens of millions of weights."""
PAPERS = (32, 64)


def plan_of(image_size: ImageSize) -> Plan:
    """The paper's network for 32 px where no side is longer, else that for 64 px, from a larger or smaller start.

    From 1x1 the decoder's first transposed convolution, the one with stride 1, has to be unpadded to reach 4x4 and with
    the three strides after it 32x32; from 8x8 it keeps the side. What is then too large is cut to the image's size.
    """
    height, width = sides(image_size)
    if max(height, width) <= PAPERS[0]:
        return Plan(kernel=4, channels=(32, 64, 128, 256), start=(1, 1))
    return Plan(kernel=5, channels=(64, 128, 256, 512), start=(-(-height // 8), -(-width // 8)))


@network
@dataclass(frozen=True, kw_only=True)
class Conv(Network):
    """Four strided convolutions and a global average pool; the decoder mirrors them.

    `width` multiplies every number of channels; 1 is the paper's network, which are two, for 32 and for 64 px. Images
    of other sizes have that of 32 px up to this, whose output is cut about the middle, and larger ones that of 64 px,
    which begins with as many places as they need (`plan_of`).
    """

    family: ClassVar[str] = "conv"
    takes_rectangles: ClassVar[bool] = True

    width: float = 1.0

    def __post_init__(self) -> None:
        check_width(self.width)

    def check(self, image_size: ImageSize, latent: int) -> None:
        check_latent(latent)
        for side in sides(image_size):
            if not SMALLEST <= side <= LARGEST:
                raise UserError(
                    f"the conv networks take images of {SMALLEST} to {LARGEST} px a side, not {in_px(image_size)}. "
                    f"Use image_size {min(max(side, SMALLEST), LARGEST)}."
                )

    def build(self, image_size: ImageSize, channels: int, latent: int, heads: int) -> tuple[nn.Module, nn.Module]:
        self.check(image_size, latent)
        plan = plan_of(image_size)
        widths = [max(1, round(self.width * c)) for c in plan.channels]
        # The encoder first: random numbers are drawn in the order in which parts are made, and so are first weights.
        encoder = _encoder(plan, channels, widths, heads * latent)
        decoder = _decoder(plan, channels, widths, latent)
        made = tuple(8 * (start if plan.kernel % 2 else start + 3) for start in plan.start)
        if made != (wanted := sides(image_size)):
            from evae.networks.layers import Middle

            decoder.append(Middle(*wanted))
        return encoder, decoder


def _encoder(plan: Plan, channels: int, widths: list[int], outputs: int) -> nn.Module:
    from evae.networks.products import Convolution

    layers: list[nn.Module] = []
    for before, after in pairwise([channels, *widths]):
        layers += [Convolution(before, after, plan.kernel, stride=2, padding=(plan.kernel - 1) // 2)]
        layers += [nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], outputs))


def _decoder(plan: Plan, channels: int, widths: list[int], latent: int) -> nn.Sequential:
    from evae.networks.products import TransposedConvolution

    first, *rest = reversed(widths)
    kernel, is_odd = plan.kernel, plan.kernel % 2
    # An odd kernel needs one more row and column to double the side exactly, and an even one cannot keep it.
    doubling = {"stride": 2, "padding": (kernel - 1) // 2, "output_padding": is_odd}
    layers: list[nn.Module] = [
        nn.Linear(latent, first * math.prod(plan.start)),
        nn.Unflatten(1, (first, *plan.start)),
        TransposedConvolution(first, rest[0], kernel, padding=kernel // 2 if is_odd else 0),
    ]
    for before, after in pairwise([*rest, channels]):
        layers += [nn.BatchNorm2d(before), nn.ReLU(inplace=True)]
        layers += [TransposedConvolution(before, after, kernel, **doubling)]
    return nn.Sequential(*layers)
