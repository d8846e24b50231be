"""Convolutions as matrix products, for small ones in float32 on CUDA: modules that are torch's own elsewhere.

Of cuDNN's convolutions those that give the same numbers each time are slow where they are small: on an H200 the paper's
network at half its width took 1.7 ms a step, 1.1 ms with its channels first, and two thirds of that were convolutions
of 33 million multiply-accumulates, of which the GPU does so many in 2 us. Here images lie with their channels last, so
that the patches which a kernel meets are rows of a matrix once they have been copied, and cuBLAS multiplies matrices of
any shape well, in the same order each time.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MOST_NUMBERS = 1 << 24
"""Of all patches of a batch together: 64 MiB. Larger convolutions keep cuDNN busy."""


class Convolution(nn.Conv2d):
    """`torch.nn.Conv2d` with a bias, and zeros for padding, the same on all sides."""

    def forward(self, x: Tensor) -> Tensor:
        if not _as_product(self, x, _places(x, self), self.in_channels):
            return super().forward(x)
        return Product.apply(x, self.weight, self.bias, self.stride[0], self.padding[0])[0]


class TransposedConvolution(nn.ConvTranspose2d):
    """`torch.nn.ConvTranspose2d`, likewise."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        if output_size is not None or not _as_product(self, x, x.shape[-2:], self.out_channels):
            return super().forward(x, output_size)
        stride, padding = self.stride[0], self.padding[0]
        more = self.kernel_size[0] - stride - 2 * padding + self.output_padding[0]
        size = tuple(stride * side + more for side in x.shape[-2:])
        return TransposedProduct.apply(x, self.weight, self.bias, stride, padding, size)


def patches(x: Tensor, kernel: int, stride: int, padding: int) -> Tensor:
    """What a kernel meets at each of its places: (n, rows, columns, kernel, kernel, c) of images (n, h, w, c)."""
    padded = F.pad(x, (0, 0, *(padding,) * 4)) if padding else x
    found = padded.unfold(1, kernel, stride).unfold(2, kernel, stride)
    return found.permute(0, 1, 2, 4, 5, 3).contiguous()


def assembled(x: Tensor, weight: Tensor, stride: int, padding: int, size: tuple[int, int]) -> Tensor:
    """Images (n, outputs, *size): the sums of what each place of x (n, c, h, w) gives to its patch, by weights
    (c, outputs, kernel, kernel)."""
    n, outputs, kernel = len(x), weight.shape[1], weight.shape[-1]
    found = x.permute(0, 2, 3, 1).flatten(0, 2) @ _rows(weight)
    found = found.view(n, -1, kernel * kernel, outputs).permute(0, 3, 2, 1).flatten(1, 2)
    return F.fold(found, size, kernel, padding=padding, stride=stride)


class Product(torch.autograd.Function):
    """A convolution of images (n, c, h, w): the outcome (n, outputs, rows, columns), and the patches."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor, stride: int, padding: int) -> tuple[Tensor, Tensor]:
        found = patches(x.permute(0, 2, 3, 1), weight.shape[-1], stride, padding)
        made = torch.addmm(bias, found.flatten(3).flatten(0, 2), _rows(weight).t())
        return made.view(*found.shape[:3], -1).permute(0, 3, 1, 2), found

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: tuple[Tensor, Tensor]) -> None:
        x, weight, _, ctx.stride, ctx.padding = inputs
        ctx.size = x.shape[-2:]
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(weight, output[1])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        weight, found = ctx.saved_tensors
        rows, of_x = gradient.permute(0, 2, 3, 1).flatten(0, 2), None
        if ctx.needs_input_grad[0]:
            of_x = _channels_last(assembled(gradient, weight, ctx.stride, ctx.padding, ctx.size))
        return of_x, _weight(rows.t() @ found.flatten(3).flatten(0, 2), weight), rows.sum(0), None, None


class TransposedProduct(torch.autograd.Function):
    """The transpose of such a convolution: of images (n, c, rows, columns) those (n, outputs, *size)."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor, stride: int, padding: int, size: tuple[int, int]) -> Tensor:
        return _channels_last(assembled(x, weight, stride, padding, size) + bias[:, None, None])

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        x, weight, _, ctx.stride, ctx.padding, _ = inputs
        ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        gradient = gradient.permute(0, 2, 3, 1)
        found = patches(gradient, weight.shape[-1], ctx.stride, ctx.padding).flatten(3).flatten(0, 2)
        rows = x.permute(0, 2, 3, 1).flatten(0, 2)
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = (found @ _rows(weight).t()).view(*x.permute(0, 2, 3, 1).shape).permute(0, 3, 1, 2)
        of_bias = gradient.flatten(0, 2).sum(0)
        return of_x, _weight(rows.t() @ found, weight), of_bias, None, None, None


def _as_product(layer: nn.Module, x: Tensor, places: tuple[int, int], channels: int) -> bool:
    """Whether a layer with patches of so many channels at so many rows and columns is worth it."""
    if x.device.type != "cuda" or x.dtype != torch.float32 or torch.is_autocast_enabled("cuda"):
        return False
    return len(x) * math.prod(places) * channels * layer.kernel_size[0] ** 2 <= MOST_NUMBERS


def _places(x: Tensor, layer: nn.Conv2d) -> tuple[int, int]:
    """The rows and columns of a convolution's outcome."""
    kernel, stride, padding = layer.kernel_size[0], layer.stride[0], layer.padding[0]
    return tuple((side + 2 * padding - kernel) // stride + 1 for side in x.shape[-2:])


def _channels_last(x: Tensor) -> Tensor:
    """As `Tensor.contiguous` has it, which torch.vmap knows for other layouts alone."""
    return x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)


def _rows(weight: Tensor) -> Tensor:
    """A weight (a, b, kernel, kernel) as a matrix (a, kernel * kernel * b): without a copy, as it lies in memory."""
    return weight.permute(0, 2, 3, 1).flatten(1)


def _weight(rows: Tensor, like: Tensor) -> Tensor:
    """The inverse of `_rows`."""
    a, b, kernel, _ = like.shape
    return rows.view(a, kernel, kernel, b).permute(0, 3, 1, 2)
