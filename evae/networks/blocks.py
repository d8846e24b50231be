"""Parts of networks of maps (n, channels, h, w) that keep height and width: residual blocks, and attention.

Their parameters have the names that diffusers' AutoencoderKL gives to its own.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from evae.networks.layers import Block
from evae.networks.self_modulated import SelfModulated

MOST_GROUPS = 32
EPS = 1e-6
"""Of GroupNorm, as in the Stable Diffusion VAE."""


def group_norm(channels: int) -> nn.GroupNorm:
    """With 32 groups, or the greatest number below that divides the channels: of 16 channels 16, of 48 24."""
    groups = max(groups for groups in range(1, MOST_GROUPS + 1) if channels % groups == 0)
    return nn.GroupNorm(groups, channels, eps=EPS)


def normalised(kind: str, before: int, after: int) -> tuple[nn.Module, nn.Conv2d]:
    """What normalises maps of `before` channels, and the 3x3 convolution to `after` that comes behind it and a SiLU: by
    the `kind` "group" GroupNorm, by "smc" nothing, as the convolution is self-modulated."""
    if kind == "smc":
        return nn.Identity(), SelfModulated(before, after)
    return group_norm(before), nn.Conv2d(before, after, 3, padding=1)


class ResnetBlock(Block):
    """x + conv2(SiLU(norm2(conv1(SiLU(norm1(x)))))), the first x by a 1x1 convolution where the channels change."""

    def __init__(self, before: int, after: int, kind: str) -> None:
        super().__init__()
        self.norm1, self.conv1 = normalised(kind, before, after)
        self.norm2, self.conv2 = normalised(kind, after, after)
        self.conv_shortcut = nn.Identity() if before == after else nn.Conv2d(before, after, 1)

    def compute(self, x: Tensor) -> Tensor:
        inner = self.conv1(F.silu(self.norm1(x)))
        return self.conv_shortcut(x) + self.conv2(F.silu(self.norm2(inner)))


class Attention(Block):
    """x plus what each place takes from all places, by one head of as many numbers as there are channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.group_norm = group_norm(channels)
        self.to_q, self.to_k, self.to_v = (nn.Linear(channels, channels) for _ in range(3))
        self.to_out = nn.Sequential(nn.Linear(channels, channels))

    def compute(self, x: Tensor) -> Tensor:
        places = self.group_norm(x).flatten(2).transpose(1, 2)[:, None]
        seen = F.scaled_dot_product_attention(self.to_q(places), self.to_k(places), self.to_v(places))
        return x + self.to_out(seen)[:, 0].transpose(1, 2).unflatten(2, x.shape[2:])


class Middle(nn.Module):
    """A residual block, attention, and another block."""

    def __init__(self, channels: int, kind: str) -> None:
        super().__init__()
        self.resnets = nn.ModuleList(ResnetBlock(channels, channels, kind) for _ in range(2))
        self.attentions = nn.ModuleList([Attention(channels)])

    def forward(self, x: Tensor) -> Tensor:
        first, second = self.resnets
        return second(self.attentions[0](first(x)))


class Halving(nn.Module):
    """A 3x3 convolution with stride 2, with zeros at the right and the lower edge only."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Doubling(nn.Module):
    """Every place becomes four alike, and a 3x3 convolution follows."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
