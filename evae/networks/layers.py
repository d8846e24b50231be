"""What networks share: input range, normalisation, initial weights, and blocks that may be computed twice."""

import math

import torch
from torch import Tensor, addcmul, nn, ones, zeros
from torch.nn.functional import conv2d
from torch.utils.checkpoint import checkpoint

from evae.shapes import Maps

GROUPS = 8
ENOUGH = 8
"""Channels from which on oneDNN is right on every CPU (`convolved`)."""
EPS = 1e-3
"""Keras's default, for every normalisation here."""


def normalisation_layer(kind: str, channels: int) -> nn.Module:
    """A layer for maps (n, channels, h, w), each with a scale and a shift a channel.

    "batch": BatchNorm. Its running statistics follow the last ten steps or so (torch's momentum of 0.1): over a
    hundred, as Keras has it, they would lag behind the weights in trials of a few hundred steps.
    "group": GroupNorm with 8 groups, or the greatest common divisor with the channels: each image for itself, so
    that neither the batch nor the number of ranks changes a result.
    "affine": scale and shift alone, in training as in evaluation: what BatchNorm is in inference mode before it
    has seen any data, but for a factor of 1 / sqrt(1 + 1e-3).
    """
    if kind == "batch":
        return nn.BatchNorm2d(channels, eps=EPS)
    if kind == "group":
        return nn.GroupNorm(math.gcd(GROUPS, channels), channels, eps=EPS)
    return Affine(channels)


class Affine(nn.Module):
    """weight * x + bias, a number of each for every channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(ones(channels, 1, 1))
        self.bias = nn.Parameter(zeros(channels, 1, 1))

    def forward(self, x: Maps) -> Maps:
        # Under autocast the maps stay in bf16.
        return addcmul(self.bias.to(x.dtype), x, self.weight.to(x.dtype))


def convolved(
    x: Maps, weight: Tensor, bias: Tensor | None, stride: tuple[int, ...] = (1, 1), padding: tuple[int, ...] = (0, 0)
) -> Tensor:
    """`torch.nn.functional.conv2d`, with a way round a fault of oneDNN (in torch 2.15): on CPUs with AVX2 and no more,
    the gradient of a convolution of single pixels with a stride corrupts memory if fewer than eight channels come in.
    Of those the pixels that count are taken first."""
    if stride != (1, 1) and weight.shape[2:] == (1, 1) and x.shape[1] < ENOUGH and x.device.type == "cpu":
        x, stride = x[..., :: stride[0], :: stride[1]], (1, 1)
    return conv2d(x, weight, bias, stride, padding)


class Pixels(nn.Conv2d):
    """A convolution of single pixels, with any stride."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__(before, after, 1, stride=stride)

    def forward(self, x: Maps) -> Tensor:
        return convolved(x, self.weight, self.bias, self.stride)


class Middle(nn.Module):
    """The middle of maps, `height` x `width`."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.height, self.width = height, width

    def forward(self, x: Maps) -> Tensor:
        top, left = (x.shape[2] - self.height) // 2, (x.shape[3] - self.width) // 2
        return x[:, :, top : top + self.height, left : left + self.width]


class Block(nn.Module):
    """A part of a network, `compute` of one tensor. If it is `recomputed`, nothing inside is kept for the backward
    pass, which computes it again: slower, in a fraction of the memory, and with the same numbers."""

    recomputed = False

    def compute(self, x: Tensor) -> Tensor:
        """What the part yields."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        if self.recomputed and torch.is_grad_enabled():
            return checkpoint(self.compute, x, use_reentrant=False)
        return self.compute(x)


def recompute(network: nn.Module, recomputed: bool = True) -> int:
    """Have all blocks of a network recomputed, or none of them; how many it has."""
    blocks = [module for module in network.modules() if isinstance(module, Block)]
    for block in blocks:
        block.recomputed = recomputed
    return len(blocks)


class Centre(nn.Module):
    """Images in [0, 1] to [-1, 1]."""

    def forward(self, x: Maps) -> Maps:
        return 2 * x - 1


def glorot(network: nn.Module) -> nn.Module:
    """The network with Keras's initial weights: uniform after Glorot & Bengio (2010), biases zero.

    They matter where nothing normalises (`benchmarks/results/normalisation.md`): torch's own weights have a third of
    the variance, so that a branch of three convolutions adds almost nothing to its shortcut.
    """
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
    return network
