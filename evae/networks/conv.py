"""The convolutional networks of Qin & Huang, arXiv 2405.12783v2, appendix C."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from evae.lazy import nn
from evae.networks.base import Network, check_image_size, check_latent, check_width, network


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One of the paper's networks: the convolutions' kernel side, the encoder's channels, and the side in pixels of
    the image that the decoder starts from."""

    kernel: int
    channels: tuple[int, int, int, int]
    start: int


# From 1x1 the decoder's first transposed convolution, the one with stride 1, has to be unpadded to reach 4x4
# and with the three strides after it 32x32; from 8x8 it keeps the side.
PLANS = {
    32: Plan(kernel=4, channels=(32, 64, 128, 256), start=1),
    64: Plan(kernel=5, channels=(64, 128, 256, 512), start=8),
}


@network
@dataclass(frozen=True, kw_only=True)
class Conv(Network):
    """Four strided convolutions and a global average pool; the decoder mirrors them.

    `width` multiplies every number of channels; 1 is the paper's network.
    """

    family: ClassVar[str] = "conv"

    width: float = 1.0

    def __post_init__(self) -> None:
        check_width(self.width)

    def check(self, image_size: int, latent: int) -> None:
        check_latent(latent)
        check_image_size(self.family, image_size, PLANS)

    def build(self, image_size: int, channels: int, latent: int, heads: int) -> tuple[nn.Module, nn.Module]:
        self.check(image_size, latent)
        plan = PLANS[image_size]
        widths = [max(1, round(self.width * c)) for c in plan.channels]
        return _encoder(plan, channels, widths, heads * latent), _decoder(plan, channels, widths, latent)


def _encoder(plan: Plan, channels: int, widths: list[int], outputs: int) -> nn.Module:
    layers: list[nn.Module] = []
    for before, after in pairwise([channels, *widths]):
        layers += [nn.Conv2d(before, after, plan.kernel, stride=2, padding=(plan.kernel - 1) // 2)]
        layers += [nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], outputs))


def _decoder(plan: Plan, channels: int, widths: list[int], latent: int) -> nn.Module:
    first, *rest = reversed(widths)
    layers: list[nn.Module] = [
        nn.Linear(latent, first * plan.start**2),
        nn.Unflatten(1, (first, plan.start, plan.start)),
        nn.ConvTranspose2d(first, rest[0], plan.kernel, padding=0 if plan.start == 1 else plan.kernel // 2),
    ]
    for before, after in pairwise([*rest, channels]):
        layers += [nn.BatchNorm2d(before), nn.ReLU(inplace=True), _doubling(before, after, plan.kernel)]
    return nn.Sequential(*layers)


def _doubling(before: int, after: int, kernel: int) -> nn.Module:
    # An odd kernel needs one more row and column to double the side exactly.
    padding, extra = (kernel - 1) // 2, kernel % 2
    return nn.ConvTranspose2d(before, after, kernel, stride=2, padding=padding, output_padding=extra)
