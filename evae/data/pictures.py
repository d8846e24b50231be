"""Picture files of any format and mode as square uint8 arrays, many at a time."""

import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, ImageOps

BILINEAR = Image.Resampling.BILINEAR  # Pillow's resampling is antialiased
WHITE = (255, 255, 255, 255)
T = TypeVar("T")
R = TypeVar("R")


class BrokenPicture(Exception):
    """A file that cannot be used as a picture; the text says why, in a few words."""


@contextmanager
def open_picture(path: Path) -> Iterator[Image.Image]:
    """The picture, its header read and its pixels not yet. What goes wrong inside becomes BrokenPicture."""
    try:
        with Image.open(path) as picture:
            if picture.mode in ("F", "I"):
                raise BrokenPicture("32-bit pixels, save it with 8 bits")
            yield picture
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise BrokenPicture(f"too large, above {Image.MAX_IMAGE_PIXELS:,} px") from error
    except Image.UnidentifiedImageError as error:
        raise BrokenPicture("not a picture, or damaged") from error
    except BrokenPicture:
        raise
    except Exception as error:  # a damaged file makes Pillow's decoders raise errors of any type
        raise BrokenPicture(f"damaged: {str(error) or type(error).__name__}") from error


def is_grey(picture: Image.Image) -> bool:
    """Whether the header says that there is no colour."""
    if picture.mode in ("P", "PA"):
        palette = np.asarray(picture.getpalette("RGB") or [], dtype=np.uint8).reshape(-1, 3)
        return bool((palette == palette[:, :1]).all())
    return picture.mode in ("1", "L", "LA", "La") or picture.mode.startswith("I;16")


def decode(path: Path, size: int, channels: int, fit: str, crop: int | None = None) -> np.ndarray:
    """One picture as uint8 (channels, size, size), the first frame where there are several.

    It is turned as its EXIF orientation says, transparency is laid over white, and 16 bits become 8. `fit` is
    that of the recipe; `crop` (px) cuts a centred square of that side out first. Raises BrokenPicture.
    """
    with open_picture(path) as picture:
        if crop is None and fit == "resize":
            # Lets JPEG decode at a half, quarter or eighth of its size, never below twice the size wanted.
            picture.draft(None, (2 * size, 2 * size))
        picture = _eight_bits(ImageOps.exif_transpose(picture)).convert("L" if channels == 1 else "RGB")
        if crop is not None:
            picture = picture.crop(_centred(picture.size, crop))
        if fit == "resize":
            # Not resize(box=...), whose filter would reach across the edges of the box.
            picture = picture.crop(_centred(picture.size, min(picture.size))).resize((size, size), BILINEAR)
        else:
            picture = _padded(picture, size)
        return np.asarray(picture).reshape(size, size, channels).transpose(2, 0, 1)


def many(work: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """`work` on all items, in their order, in threads on all cores this process has (Pillow drops the GIL).

    Pillow's warnings are silenced, but one about a file too large to be decoded safely is raised.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with ThreadPoolExecutor(_cores()) as pool:
            return list(pool.map(work, items))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _eight_bits(picture: Image.Image) -> Image.Image:
    """8 bits a channel and no transparency; Pillow itself would cut 16 bits off at 255, not scale them."""
    if picture.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(picture).astype(np.float32) / 257).round().astype(np.uint8))
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", picture.size, WHITE), picture)
    return picture


def _centred(size: tuple[int, int], side: int) -> tuple[int, int, int, int]:
    """The box (left, top, right, bottom) of the centred square; rounded as torchvision's CenterCrop."""
    left, top = (round((extent - side) / 2) for extent in size)
    return left, top, left + side, top + side


def _padded(picture: Image.Image, size: int) -> Image.Image:
    if max(picture.size) > size:
        picture = ImageOps.contain(picture, (size, size), BILINEAR)
    square = Image.new(picture.mode, (size, size))
    square.paste(picture, ((size - picture.width) // 2, (size - picture.height) // 2))
    return square
