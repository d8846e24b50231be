"""Which axis of an array is what, and its images as uint8 (n, c, h, w)."""

from dataclasses import dataclass

import numpy as np

from evae.data.base import CHUNK_IMAGES, SMALLEST_IMAGE_PX
from evae.errors import UserError, unknown

LAYOUTS = ("nchw", "nhwc")
FLOATS = (np.float16, np.float32, np.float64)
HOW = {
    "b": "save (255 * x).astype(numpy.uint8)",
    "i": "save x.astype(numpy.uint8), where they are levels from 0 to 255",
    "u": "save (x // 256).astype(numpy.uint8), where they are levels of 16 bits",
}
"""What to do with numbers of a dtype's kind."""


@dataclass(frozen=True)
class Layout:
    """`axes` are those of (n, c, h, w) in the array, -1 for channels without one; `shape` is an image's (c, h, w)."""

    axes: tuple[int, int, int, int]
    shape: tuple[int, int, int]

    def arranged(self, images: np.ndarray) -> np.ndarray:
        """As (n, c, h, w)."""
        return images[:, None] if self.axes[1] < 0 else images.transpose(self.axes)


def layout_of(array: np.ndarray, said: str | None, name: str) -> Layout:
    """The layout of an array of images: (n, h, w), (n, h, w, c) or (n, c, h, w), where no side is below
    `SMALLEST_IMAGE_PX` and so an axis that is, holds the channels; or as is `said`.

    Raises UserError where it cannot be known, for no images, and for numbers that are no levels.
    """
    if said not in (None, *LAYOUTS):
        raise unknown("layout", said, LAYOUTS)
    what = f"{name} is {array.dtype} {array.shape}"
    if array.dtype != np.uint8 and array.dtype not in FLOATS:
        raise UserError(
            f"{what}: images are uint8, or floating-point numbers from 0 to 1; {HOW.get(array.dtype.kind, 'save such')}"
        )
    if array.ndim not in (3, 4) or not array.size:
        raise UserError(f"{what}: images are (n, h, w), (n, h, w, channels) or (n, channels, h, w); reshape it")
    axes = (0, -1, 1, 2) if array.ndim == 3 else _axes(array.shape, said, what)
    c, h, w = (1 if axis < 0 else array.shape[axis] for axis in axes[1:])
    if min(h, w) < SMALLEST_IMAGE_PX:
        raise UserError(
            f"{what}: images of {h} x {w} px are smaller than {SMALLEST_IMAGE_PX} px; enlarge or reshape it"
        )
    return Layout(axes, (c, h, w))


def _axes(shape: tuple[int, ...], said: str | None, what: str) -> tuple[int, int, int, int]:
    could_be = {"nchw": shape[1] < SMALLEST_IMAGE_PX, "nhwc": shape[3] < SMALLEST_IMAGE_PX}
    if said is None:
        fitting = [layout for layout, fits in could_be.items() if fits]
        if len(fitting) != 1:
            raise UserError(
                f"{what}: which axis is the channels cannot be told; put ,layout=nchw behind the file for (n, "
                "channels, h, w), or ,layout=nhwc for (n, h, w, channels)"
            )
        (said,) = fitting
    return (0, 1, 2, 3) if said == "nchw" else (0, 3, 1, 2)


@dataclass(frozen=True)
class Rows:
    """The images of an array in this order (n,), made uint8 (n, c, h, w) when a slice of them is taken: an array that
    lies in a file is read no further."""

    array: np.ndarray
    layout: Layout
    order: np.ndarray
    name: str

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, chosen: slice, /) -> np.ndarray:
        which = self.order[chosen]
        images = np.empty((len(which), *self.layout.shape), dtype=np.uint8)
        for first in range(0, len(which), CHUNK_IMAGES):
            some = which[first : first + CHUNK_IMAGES]
            images[first : first + CHUNK_IMAGES] = self.layout.arranged(self._levels(self.array[some], some))
        return images

    def _levels(self, images: np.ndarray, which: np.ndarray) -> np.ndarray:
        if images.dtype == np.uint8:
            return images
        flat = images.reshape(len(images), -1)
        if not (finite := np.isfinite(flat).all(1)).all():
            broken = which[~finite].min()
            raise UserError(
                f"image {broken} of {self.name} holds a number that is not finite: leave it out, or fill it in"
            )
        low, high = flat.min(), flat.max()
        if low < 0 or high > 1:
            raise UserError(f"{self.name} holds numbers from {low:.4g} to {high:.4g}: {_remedy(low, high)}")
        return np.round(255 * images).astype(np.uint8)


def _remedy(low: float, high: float) -> str:
    if low >= 0 and high <= 255:
        return "images of floating-point numbers are from 0 to 1; divide by 255, or save it as uint8"
    if low >= -1 and high <= 1:
        return "images are from 0 to 1; save (x + 1) / 2"
    return "images are from 0 to 1; scale it to that"
