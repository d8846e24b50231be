"""From a source's pixels to the size and channels asked for, and from there to torch and what networks are given."""

from __future__ import annotations

from threading import Lock
from weakref import WeakValueDictionary

import numpy as np

from evae.data.stream import Split, Stream
from evae.errors import UserError
from evae.lazy import F, torch
from evae.quiet import ignored
from evae.sizes import ImageSize, sides

# Red, green and blue in 2^-16: ITU-R BT.601 luma, in the integers Pillow uses for its mode "L".
LUMA = np.array([19595, 38470, 7471], dtype=np.uint32)
CHUNK_IMAGES = 4096


def tensor(array: np.ndarray) -> torch.Tensor:
    """A torch view of a numpy array that may be read-only: same memory, no copy.

    Never modify the result in place: the memory may be shared with other trials, or not writeable at all.
    """
    with ignored(UserWarning, "The given NumPy array is not writable"):
        return torch.from_numpy(array)


_PLACED: WeakValueDictionary[tuple, torch.Tensor] = WeakValueDictionary()
_PLACING = Lock()


def on_device(images: np.ndarray, device: torch.device) -> torch.Tensor:
    """A split's images there: the same memory on the CPU, and elsewhere one copy for all who hold it in this process.

    Never modify it in place: the trials of other threads are trained on it.
    """
    if device.type == "cpu":
        return tensor(images)
    key = images.__array_interface__["data"][0], images.shape, images.dtype.str, device
    with _PLACING:
        there = _PLACED.get(key)
        if there is None:
            _PLACED[key] = there = tensor(images).to(device)
            # Others compute in streams of their own, which do not wait for this one's copy: who reads it has waited.
            there.flatten()[:1].cpu()
    return there


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
    """uint8 images (n, 1 or 3, h, w) as (n, channels, h, w): grey by ITU-R BT.601 luma, RGB by repeating. Raises
    UserError for images of other channels, of which it is not known how."""
    if images.shape[1] == channels:
        return images
    if images.shape[1] not in (1, 3):
        raise UserError(f"channels of images with {images.shape[1]} cannot be made {channels}: leave channels out")
    if channels == 3:
        return np.repeat(images, 3, axis=1)
    grey = np.empty((len(images), 1, *images.shape[2:]), dtype=np.uint8)
    for start in range(0, len(images), CHUNK_IMAGES):
        chunk = images[start : start + CHUNK_IMAGES].astype(np.uint32)
        grey[start : start + CHUNK_IMAGES, 0] = (np.einsum("nchw,c->nhw", chunk, LUMA) + 0x8000) >> 16
    return grey


def to_size(images: np.ndarray, size: ImageSize, fit: str) -> np.ndarray:
    """uint8 images (n, c, h, w) as (n, c, *sides(size)): zeros around what is shrunk where it is too large ("pad"), or
    the largest centred part of these proportions, bilinear ("resize")."""
    wanted, there = sides(size), images.shape[2:]
    if there == wanted:
        return images
    ratios = [to / have for to, have in zip(wanted, there, strict=True)]
    if fit == "pad":
        if min(ratios) < 1:
            images = _resized(images, tuple(max(1, round(have * min(ratios))) for have in there))
        around = [
            ((to - have) // 2, to - have - (to - have) // 2) for to, have in zip(wanted, images.shape[2:], strict=True)
        ]
        return np.pad(images, ((0, 0), (0, 0), *around))
    return _resized(
        images[(..., *(_middle(have, to / max(ratios)) for to, have in zip(wanted, there, strict=True)))], wanted
    )


def _middle(have: int, wanted: float) -> slice:
    """So many of the places in the middle, and one at least."""
    count = max(1, round(wanted))
    first = (have - count) // 2
    return slice(first, first + count)


def _resized(images: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Bilinear with antialiasing, computed in float32 and rounded to the nearest integer."""
    out = np.empty((*images.shape[:2], *size), dtype=np.uint8)
    for start in range(0, len(images), CHUNK_IMAGES):
        chunk = tensor(images[start : start + CHUNK_IMAGES]).float()
        chunk = F.interpolate(chunk, size=size, mode="bilinear", antialias=True)
        out[start : start + CHUNK_IMAGES] = chunk.round_().to(torch.uint8).numpy()
    return out
