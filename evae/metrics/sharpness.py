"""Sharpness as in Tolstikhin et al. 2018 and Qin & Huang, arXiv 2405.12783v2, appendix D."""

from __future__ import annotations

import math

from evae.lazy import TYPE_CHECKING, torch
from evae.metrics.base import declare, metric

if TYPE_CHECKING:
    from torch import Tensor

GREY = (0.299, 0.587, 0.114)
"""ITU-R BT.601 luma weights of red, green and blue; the papers leave the conversion open."""


def grey(images: Tensor) -> Tensor:
    """(n, h, w) from images (n, c, h, w): of RGB the luma, of other channels their mean."""
    if images.shape[1] != len(GREY):
        return images.mean(1)
    # Filled on the device, and not sent to it, so that it can be recorded.
    weights = torch.cat([images.new_full((1,), weight) for weight in GREY])
    return torch.einsum("nchw,c->nhw", images, weights)


@metric("sharpness", of="images", direction="max")
def sharpness(images: Tensor) -> Tensor:
    """(n,): the variance over an image of the response to the Laplacian [[0,1,0],[1,-4,1],[0,1,0]].

    Images (n, c, h, w) in [0, 1]. Only pixels with four neighbours count: padding with zeros would draw
    an edge around every image. More is not better without limit, for noise is sharp: compare with the real
    images' value.
    """
    x = grey(images)
    neighbours = x[:, :-2, 1:-1] + x[:, 2:, 1:-1] + x[:, 1:-1, :-2] + x[:, 1:-1, 2:]
    response = neighbours - 4 * x[:, 1:-1, 1:-1]
    return response.var(dim=(1, 2), correction=0)


def sharpness_gap(measured: float, real: float) -> float:
    """How far a mean sharpness is from real images', in units of theirs: 0 is as sharp, 1 a single grey, more is noise.

    Infinite where the real images are of a single grey.
    """
    return abs(measured / real - 1) if real else math.inf


declare("sharpness_gap", of="images", direction="min")
