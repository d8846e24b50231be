"""Blocks of the Poisson VAE's convolutional networks: residual cells without batch statistics, and their head."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evae.networks.layers import convolved
from evae.networks.residual import Residual
from evae.shapes import Maps


class NormedConv(nn.Conv2d):
    """A convolution of weights whose norm, for each output channel, is e^g with a learned g, which begins at 0."""

    def __init__(self, before: int, after: int, kernel: int, **kwargs: int) -> None:
        super().__init__(before, after, kernel, **kwargs)
        self.log_norm = nn.Parameter(torch.zeros(after, 1, 1, 1))

    def forward(self, x: Maps) -> Tensor:
        lengths = torch.linalg.vector_norm(self.weight, dim=(1, 2, 3), keepdim=True).clamp(min=1e-12)
        weight = self.weight * (self.log_norm.exp() / lengths)
        return convolved(x, weight, self.bias, self.stride, self.padding)


class SqueezeExcite(nn.Module):
    """Each channel times a number in (0, 1) that all channels' means say (Hu et al., arXiv 1709.01507)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(channels // 16, 4)
        self.gate = nn.Sequential(
            nn.Linear(channels, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, channels), nn.Sigmoid()
        )

    def forward(self, x: Maps) -> Tensor:
        return x * self.gate(x.mean((2, 3)))[:, :, None, None]


class ShiftedQuarters(nn.Module):
    """Half the height and width, without leaving a pixel out: a quarter of the channels from each of the four places
    of a square of two pixels a side."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        quarters = [after // 4] * 3 + [after - 3 * (after // 4)]
        self.convolutions = nn.ModuleList(NormedConv(before, quarter, 1, stride=2) for quarter in quarters)

    def forward(self, x: Maps) -> Tensor:
        x = F.silu(x)
        places = ((0, 0), (0, 1), (1, 0), (1, 1))
        shifted = [c(x[..., i:, j:]) for c, (i, j) in zip(self.convolutions, places, strict=True)]
        return torch.cat(shifted, 1)


def cell(channels: int, nodes: int) -> Residual:
    """A cell of so many convolutions that keeps the maps' shape."""
    branch = [layer for _ in range(nodes) for layer in _node(channels, channels)]
    return Residual(nn.Sequential(*branch, SqueezeExcite(channels)), nn.Identity())


def halving_cell(channels: int, nodes: int, *, every_pixel: bool) -> Residual:
    """Half the height and width, twice the channels. The shortcut takes one pixel of four, or of an even side
    `every_pixel`."""
    after = 2 * channels
    branch = [*_node(channels, after, stride=2)]
    branch += [layer for _ in range(nodes - 1) for layer in _node(after, after)]
    strided = nn.Sequential(nn.SiLU(), NormedConv(channels, after, 1, stride=2))
    shortcut = ShiftedQuarters(channels, after) if every_pixel else strided
    return Residual(nn.Sequential(*branch, SqueezeExcite(after)), shortcut)


def doubling_cell(channels: int) -> Residual:
    """Twice the height and width, half the channels."""
    after = channels // 2
    activation, convolution = _node(channels, after)
    branch = nn.Sequential(activation, nn.Upsample(scale_factor=2), convolution, SqueezeExcite(after))
    return Residual(branch, nn.Sequential(nn.Upsample(scale_factor=2), NormedConv(channels, after, 1)))


def pool(channels: int, side: int) -> Residual:
    """Maps of that side to one pixel: their mean, and a convolution over all of them."""
    branch = nn.Sequential(nn.SiLU(), NormedConv(channels, channels, side))
    return Residual(branch, nn.AdaptiveAvgPool2d(1))


def _node(before: int, after: int, stride: int = 1) -> tuple[nn.Module, nn.Module]:
    return nn.SiLU(), NormedConv(before, after, 3, stride=stride, padding=1)
