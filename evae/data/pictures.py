"""Picture files of any format and mode as square uint8 arrays, many at a time."""

import os
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import IO, TypeVar

import numpy as np
from PIL import ExifTags, Image

from evae.data.bare import File, bare, opened
from evae.data.levels import eight_bits, unknown_levels, unread_tiff

BILINEAR = Image.Resampling.BILINEAR  # Pillow's resampling is antialiased
# Formats that Pillow knows, but that are drawings, films or tables, or would start another program.
NO_PICTURES = frozenset({"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"})
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What brings a picture upright, by the value of EXIF's Orientation."""
T = TypeVar("T")
R = TypeVar("R")


class BrokenPicture(Exception):
    """A file that cannot be used as a picture; the text says why, in a few words."""


class NotAPicture(BrokenPicture):
    """A file that nothing shows to be a picture, if perhaps a damaged one."""


def look_at(file: File, look: Callable[[Image.Image], T]) -> T:
    """What `look` returns for the picture, its header read and its pixels not yet.

    What lies beside the pixels costs no picture: where a fault in that keeps Pillow from reading the file,
    `look` gets what is left without it. What goes wrong inside becomes BrokenPicture.
    """
    try:
        with opened(file) as content:
            return _look_at(content, look)
    except BrokenPicture:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise BrokenPicture(f"too large, above {Image.MAX_IMAGE_PIXELS:,} px") from error
    except Exception as error:  # a damaged file makes Pillow's decoders raise errors of any type
        if (stripped := bare(file)) is not None:
            try:
                return _look_at(BytesIO(stripped), look)
            except Exception:  # so it is not what lies beside the pixels: the first error says why
                pass
        if not isinstance(error, Image.UnidentifiedImageError):
            raise BrokenPicture(f"damaged: {str(error) or type(error).__name__}") from error
        if (why := unread_tiff(file)) is not None:
            raise BrokenPicture(why) from error
        raise NotAPicture("not a picture, or damaged") from error


def _look_at(file: IO[bytes], look: Callable[[Image.Image], T]) -> T:
    # Not the path, for then Pillow maps the file, and mixes up width and height of a TIFF that is to be turned.
    with Image.open(file) as picture:
        if picture.format in NO_PICTURES:
            raise BrokenPicture(f"{picture.format}, which is no picture of pixels")
        if (why := unknown_levels(picture)) is not None:
            raise BrokenPicture(why)
        return look(picture)


def is_grey(picture: Image.Image) -> bool:
    """Whether the header says that there is no colour."""
    if picture.mode in ("P", "PA"):
        palette = np.asarray(picture.getpalette("RGB") or [], dtype=np.uint8).reshape(-1, 3)
        return bool((palette == palette[:, :1]).all())
    return picture.mode in ("1", "L", "LA", "La") or picture.mode.startswith("I")


def has_several(picture: Image.Image) -> bool:
    """Whether the file holds more frames or pages than the first; moves to another one to find out."""
    try:
        return picture.format != "PSD" and bool(getattr(picture, "is_animated", False))  # layers are no frames
    except Exception:  # damage behind the first frame
        return False


def decode(file: File, size: int, channels: int, fit: str, crop: int | None = None) -> np.ndarray:
    """One picture as uint8 (channels, size, size), the first frame where there are several.

    It is turned as its EXIF orientation says, if that can be read; transparency is laid over white, and black
    and white become 0 and 255, whatever the bits. `fit` is "resize" or "pad" of the recipe; `crop` (px) cuts a centred
    square of that side out first. Raises BrokenPicture.
    """

    def look(picture: Image.Image) -> np.ndarray:
        if crop is None and fit == "resize":
            # Lets JPEG decode at a half, quarter or eighth of its size, never below twice the size wanted.
            picture.draft(None, (2 * size, 2 * size))
        picture = _upright(picture, channels)
        if crop is not None:
            picture = picture.crop(_centred(picture.size, crop))
        if fit == "resize":
            # Not resize(box=...), whose filter would reach across the edges of the box.
            picture = picture.crop(_centred(picture.size, min(picture.size))).resize((size, size), BILINEAR)
        else:
            picture = _padded(picture, size)
        return _pixels(picture)

    return look_at(file, look)


def cut(file: File, side: int, channels: int, which: int | None = None) -> np.ndarray:
    """The tiles of a picture as uint8 (n, channels, side, side), row by row, or the one that is asked for: squares that
    touch each other, as many as there is room for, about the picture's middle, with its own pixels. Read as by
    `decode`. Raises BrokenPicture."""

    def look(picture: Image.Image) -> np.ndarray:
        picture = _upright(picture, channels)
        across, down = picture.width // side, picture.height // side
        left, top = (picture.width - across * side) // 2, (picture.height - down * side) // 2
        corners = [(left + side * (i % across), top + side * (i // across)) for i in range(across * down)]
        chosen = corners if which is None else corners[which : which + 1]
        found = [_pixels(picture.crop((x, y, x + side, y + side))) for x, y in chosen]
        return np.stack(found) if found else np.empty((0, channels, side, side), dtype=np.uint8)

    return look_at(file, look)


def tiles(size: tuple[int, int], side: int) -> int:
    """How many tiles of that side a picture of a size (px) has, however it is turned."""
    return (size[0] // side) * (size[1] // side)


def _upright(picture: Image.Image, channels: int) -> Image.Image:
    """Loaded, with 8 bits a channel, as its EXIF orientation says."""
    picture.load()
    turn = _turn(picture)
    picture = eight_bits(picture).convert("L" if channels == 1 else "RGB")
    return picture if turn is None else picture.transpose(turn)


def _pixels(picture: Image.Image) -> np.ndarray:
    """uint8 (c, h, w)."""
    return np.asarray(picture).reshape(picture.height, picture.width, -1).transpose(2, 0, 1)


def grey(path: str | os.PathLike[str]) -> np.ndarray:
    """A whole picture as uint8 grey levels (h, w), upright, as `decode` has it. Raises BrokenPicture."""

    def look(picture: Image.Image) -> np.ndarray:
        picture.load()
        turn = _turn(picture)
        picture = eight_bits(picture).convert("L")
        return np.asarray(picture if turn is None else picture.transpose(turn))

    return look_at(path, look)


def _turn(picture: Image.Image) -> Image.Transpose | None:
    try:
        return TURNS.get(picture.getexif().get(ExifTags.Base.Orientation))
    except Exception:  # EXIF that is damaged makes Pillow raise errors of any type
        return None


def many(work: Callable[[T], R], items: Iterable[T], threads: int | None = None) -> list[R]:
    """`work` on all items, in their order, in so many threads, by default on all cores this process has (Pillow drops
    the GIL).

    Pillow's warnings are silenced, but one about a file too large to be decoded safely is raised.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with ThreadPoolExecutor(threads or _cores()) as pool:
            return list(pool.map(work, items))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _centred(size: tuple[int, int], side: int) -> tuple[int, int, int, int]:
    """The box (left, top, right, bottom) of the centred square; rounded as torchvision's CenterCrop."""
    left, top = (round((extent - side) / 2) for extent in size)
    return left, top, left + side, top + side


def _padded(picture: Image.Image, size: int) -> Image.Image:
    if max(picture.size) > size:
        # As ImageOps.contain, which leaves nothing of a picture much longer than wide.
        width, height = (max(1, round(extent / max(picture.size) * size)) for extent in picture.size)
        picture = picture.resize((width, height), BILINEAR)
    square = Image.new(picture.mode, (size, size))
    square.paste(picture, ((size - picture.width) // 2, (size - picture.height) // 2))
    return square
