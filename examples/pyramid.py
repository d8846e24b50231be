"""A perceptual distance of one's own, to train on and to measure: errors that are seen from near and from far.

    python studies/kernel_sweep.py --plugin examples/pyramid.py --objectives rec_pyramid gen_fd

A network that has learned to see takes the place of `Pyramid`: any frozen module from two sets of images to (n,).
"""

import torch
import torch.nn.functional as F
from torch import nn

from evae.metrics import perceptual_distance


class Pyramid(nn.Module):
    """The mean absolute difference of two images (n, c, h, w) in [0, 1], and of both at half the size, a quarter, ...:
    a mean over `levels`, of which an image of 8 px still has three."""

    digest = "pyramid-1"
    """Of weights, it would be their SHA-256; numbers are comparable where it is the same."""
    levels = 3

    def forward(self, x: torch.Tensor, made: torch.Tensor) -> torch.Tensor:
        found, apart = [], x - made
        for _ in range(self.levels):
            found.append(apart.abs().mean((1, 2, 3)))
            apart = F.avg_pool2d(apart, 2, ceil_mode=True)
        return torch.stack(found).mean(0)


@perceptual_distance("pyramid")
def pyramid() -> nn.Module:
    return Pyramid()
