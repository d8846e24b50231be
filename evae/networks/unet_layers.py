"""The layers of the U-Net discriminator."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization

from evae.networks.layers import Centre

ITERATIONS = 15
"""Of the power method, as a layer is made; then one in each forward pass of training (Miyato et al., arXiv
1802.05957)."""


class SpectralNorm(nn.Module):
    """A layer's weight divided by its largest singular value as a matrix (rows: outputs), in float32.

    The value is estimated by the power method, whose vectors are buffers: a training that goes on has those it had, and
    ranks with the same weights have the same.
    """

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        matrix = weight.detach().flatten(1)
        self.register_buffer("left", F.normalize(torch.randn(matrix.shape[0]), dim=0))
        self.register_buffer("right", F.normalize(torch.randn(matrix.shape[1]), dim=0))
        for _ in range(ITERATIONS):
            self._iterate(matrix)

    @torch.no_grad()
    def _iterate(self, matrix: Tensor) -> None:
        self.right.copy_(F.normalize(matrix.T @ self.left, dim=0))
        self.left.copy_(F.normalize(matrix @ self.right, dim=0))

    def forward(self, weight: Tensor) -> Tensor:
        if weight.is_meta:  # which has no autocast: a network that is built to see whether it can be
            return weight
        with torch.autocast(weight.device.type, enabled=False):
            matrix = weight.flatten(1)
            if self.training:
                self._iterate(matrix)
            # Copies, since the next forward pass changes the buffers before this one's gradients are taken.
            return weight / (self.left.clone() @ matrix @ self.right.clone())


def normalised(layer: nn.Conv2d | nn.Linear) -> nn.Conv2d | nn.Linear:
    """The layer with orthogonal first weights and its spectral norm divided out."""
    nn.init.orthogonal_(layer.weight)
    register_parametrization(layer, "weight", SpectralNorm(layer.weight))
    return layer


class Block(nn.Module):
    """Two 3x3 convolutions beside one of 1x1, at half ("down") or twice ("up") the side; `first` takes pixels, without
    an activation before."""

    def __init__(self, before: int, after: int, to: str, first: bool = False) -> None:
        super().__init__()
        self.to, self.first = to, first
        self.one = normalised(nn.Conv2d(before, after, 3, padding=1))
        self.two = normalised(nn.Conv2d(after, after, 3, padding=1))
        self.beside = normalised(nn.Conv2d(before, after, 1))

    def forward(self, x: Tensor) -> Tensor:
        kept = x if self.first else F.relu(x)
        if self.to == "up":
            kept, x = (F.interpolate(each, scale_factor=2.0, mode="nearest") for each in (kept, x))
        made = self.two(F.relu(self.one(kept)))
        if self.to == "down":
            # A 1x1 convolution and a mean of pixels may change places.
            made, x = F.avg_pool2d(made, 2), F.avg_pool2d(x, 2)
        return made + self.beside(x)


class UNet(nn.Module):
    """From images in [0, 1] to logits of pixels (n, 1, h, w) and of images (n, 1)."""

    def __init__(self, channels: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.centre = Centre()
        down = [channels, *widths]
        self.down = nn.ModuleList(
            Block(before, after, "down", first=index == 0) for index, (before, after) in enumerate(pairwise(down))
        )
        # From the second block on, beside what the path down had at that side.
        before = [widths[-1], *(2 * width for width in reversed(widths[:-1]))]
        after = [*reversed(widths[:-1]), widths[0]]
        self.up = nn.ModuleList(Block(*pair, "up") for pair in zip(before, after, strict=True))
        self.whole = normalised(nn.Linear(widths[-1], 1))
        self.pixels = nn.Conv2d(widths[0], 1, 1)
        nn.init.orthogonal_(self.pixels.weight)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        x, kept = self.centre(images), []
        for block in self.down:
            x = block(x)
            kept.append(x)
        whole = self.whole(F.relu(x).sum((2, 3)))
        x = kept.pop()
        for block in self.up:
            x = block(x)
            if kept:
                x = torch.cat([x, kept.pop()], 1)
        return self.pixels(x), whole
