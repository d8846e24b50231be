"""A metric of one's own that is an objective too: how well edges are where they were.

python studies/kernel_sweep.py --plugin examples/edges.py --objectives rec_edges gen_fd
"""

import torch
import torch.nn.functional as F

from evae.metrics import metric

SOBEL = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]) / 4


def gradients(images: torch.Tensor) -> torch.Tensor:
    """Sobel's slopes to the right and down of grey values, (n, 2, h - 2, w - 2)."""
    both = torch.stack([SOBEL, SOBEL.T])[:, None].to(images)
    return F.conv2d(images.mean(1, keepdim=True), both)


@metric("edges", of="pairs", direction="min", label="error of edges", unit="mean absolute difference of slopes")
def edges(images: torch.Tensor, originals: torch.Tensor) -> torch.Tensor:
    """(n,): images and originals are (n, c, h, w) in [0, 1]."""
    return (gradients(images) - gradients(originals)).abs().mean((1, 2, 3))
