"""Signals, images of real numbers about 0 of variance 1, and how they are looked at."""

from __future__ import annotations

from evae.lazy import TYPE_CHECKING, torch

if TYPE_CHECKING:
    from torch import Tensor

REACH = 5.0
"""Standard deviations; of whitened patches of photos, about one pixel in 200 is beyond."""


def visible(signals: Tensor) -> Tensor:
    """Signals as images in [0, 1]: 0 is grey, and `REACH` to either side are black and white."""
    return (0.5 + signals / (2 * REACH)).clamp(0, 1)


def as_images(images: Tensor) -> Tensor:
    """uint8 images, or float32 signals, as they are looked at: float32 in [0, 1]."""
    return images.float().div_(255) if images.dtype == torch.uint8 else visible(images)
