"""How data are looked at: signals, images of real numbers about 0 of variance 1, and images of any channels."""

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


def in_colours(images: Tensor) -> Tensor:
    """Images (n, c, h, w) as features, perceptual distances and pictures see them: those of one and three channels as
    they are, of others red, green and blue as the means of the first, the middle and the last third of the channels,
    which overlap where c is no multiple of 3. Of 2 channels: the first, the mean of both, and the second."""
    count = images.shape[1]
    if count in (1, 3):
        return images
    thirds = [(k * count // 3, -(-(k + 1) * count // 3)) for k in range(3)]
    return torch.stack([images[:, first:last].mean(1) for first, last in thirds], 1)
