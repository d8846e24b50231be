"""From a source's pixels to the size and channels asked for, and from there to torch and what networks are given."""

from __future__ import annotations

import warnings

import numpy as np

from evae.data.stream import Split, Stream
from evae.lazy import F, torch

# Red, green and blue in 2^-16: ITU-R BT.601 luma, in the integers Pillow uses for its mode "L".
LUMA = np.array([19595, 38470, 7471], dtype=np.uint32)
CHUNK_IMAGES = 4096


def tensor(array: np.ndarray) -> torch.Tensor:
    """A torch view of a numpy array that may be read-only: same memory, no copy.

    Never modify the result in place: the memory may be shared with other trials, or not writeable at all.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)


def rows(images: Split | torch.Tensor, which: slice | torch.Tensor) -> torch.Tensor:
    """Those images of a split as they are, (n, c, h, w): of a tensor, on its device, else on the CPU."""
    if isinstance(images, Stream):
        part = images.part(which if isinstance(which, slice) else which.cpu().numpy())
        return tensor(part.read(torch.get_num_threads()))
    return (tensor(images) if isinstance(images, np.ndarray) else images)[which]


def unit(images: torch.Tensor, device: torch.device | str) -> torch.Tensor:
    """uint8 images as networks are given them, float32 in [0, 1] on the device; signals and points, float32, as they
    are."""
    given = images.to(device)
    return given.float().div_(255) if given.dtype == torch.uint8 else given


def batch(images: Split | torch.Tensor, which: slice | torch.Tensor, device: torch.device | str) -> torch.Tensor:
    """Those images of a split, float32 (n, c, h, w) on the device: see `unit`."""
    return unit(rows(images, which), device)


def to_channels(images: np.ndarray, channels: int) -> np.ndarray:
    """uint8 images (n, 1 or 3, h, w) as (n, channels, h, w): grey by ITU-R BT.601 luma, RGB by repeating."""
    if images.shape[1] == channels:
        return images
    if channels == 3:
        return np.repeat(images, 3, axis=1)
    grey = np.empty((len(images), 1, *images.shape[2:]), dtype=np.uint8)
    for start in range(0, len(images), CHUNK_IMAGES):
        chunk = images[start : start + CHUNK_IMAGES].astype(np.uint32)
        grey[start : start + CHUNK_IMAGES, 0] = (np.einsum("nchw,c->nhw", chunk, LUMA) + 0x8000) >> 16
    return grey


def to_size(images: np.ndarray, size: int, fit: str) -> np.ndarray:
    """Square uint8 images (n, c, h, h) as (n, c, size, size): zeros around ("pad") or bilinear ("resize")."""
    side = images.shape[-1]
    if side == size:
        return images
    if fit == "pad" and side < size:
        before = (size - side) // 2
        around = (before, size - side - before)
        return np.pad(images, ((0, 0), (0, 0), around, around))
    return _resized(images, size)


def _resized(images: np.ndarray, size: int) -> np.ndarray:
    """Bilinear with antialiasing, computed in float32 and rounded to the nearest integer."""
    out = np.empty((*images.shape[:2], size, size), dtype=np.uint8)
    for start in range(0, len(images), CHUNK_IMAGES):
        chunk = tensor(images[start : start + CHUNK_IMAGES]).float()
        chunk = F.interpolate(chunk, size=(size, size), mode="bilinear", antialias=True)
        out[start : start + CHUNK_IMAGES] = chunk.round_().to(torch.uint8).numpy()
    return out
