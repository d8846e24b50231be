"""Picture files of any format and mode as uint8 arrays of one size, many at a time."""

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
from evae.sizes import ImageSize, sides

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
SIDEWAYS = frozenset(TURNS[value] for value in (5, 6, 7, 8))
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


def decode(file: File, size: ImageSize, channels: int, fit: str, crop: int | None = None) -> np.ndarray:
    """One picture as uint8 (channels, *sides(size)), the first frame where there are several.

    It is turned as its EXIF orientation says, if that can be read; transparency is laid over white, and black
    and white become 0 and 255, whatever the bits. `fit` is "resize" or "pad" of the recipe; `crop` (px) cuts a centred
    square of that side out first. Raises BrokenPicture.
    """

    height, width = sides(size)

    def look(picture: Image.Image) -> np.ndarray:
        if crop is None and fit == "resize":
            # Lets JPEG decode at a half, quarter or eighth of its size, never below twice the size wanted.
            picture.draft(None, (2 * max(height, width), 2 * max(height, width)))
        picture = _upright(picture, channels)
        if crop is not None:
            picture = picture.crop(_centred(picture.size, (crop, crop)))
        if fit == "resize":
            # Not resize(box=...), whose filter would reach across the edges of the box.
            times = min(picture.width / width, picture.height / height)
            largest = _centred(picture.size, (max(1, round(width * times)), max(1, round(height * times))))
            picture = picture.crop(largest).resize((width, height), BILINEAR)
        else:
            picture = _padded(picture, width, height)
        return _pixels(picture)

    return look_at(file, look)


def cut(file: File, size: ImageSize, channels: int, which: int | None = None) -> np.ndarray:
    """The tiles of a picture as uint8 (n, channels, *sides(size)), row by row, or the one that is asked for: pieces
    that touch each other, as many as there is room for, about the picture's middle, with its own pixels. Read as by
    `decode`. Raises BrokenPicture."""

    height, width = sides(size)

    def look(picture: Image.Image) -> np.ndarray:
        picture = _upright(picture, channels)
        across, down = picture.width // width, picture.height // height
        left, top = (picture.width - across * width) // 2, (picture.height - down * height) // 2
        corners = [(left + width * (i % across), top + height * (i // across)) for i in range(across * down)]
        chosen = corners if which is None else corners[which : which + 1]
        found = [_pixels(picture.crop((x, y, x + width, y + height))) for x, y in chosen]
        return np.stack(found) if found else np.empty((0, channels, height, width), dtype=np.uint8)

    return look_at(file, look)


def tiles(picture: tuple[int, int], size: ImageSize) -> int:
    """How many tiles of that size a picture of so many px (width, height), upright, has."""
    height, width = sides(size)
    return (picture[0] // width) * (picture[1] // height)


def upright(picture: Image.Image) -> tuple[int, int]:
    """(width, height) of a picture as its EXIF orientation turns it; of some formats this decodes all of it."""
    width, height = picture.size
    return (height, width) if _turn(picture) in SIDEWAYS else (width, height)


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


def _centred(size: tuple[int, int], part: tuple[int, int]) -> tuple[int, int, int, int]:
    """The box (left, top, right, bottom) of the centred part (width, height); rounded as torchvision's CenterCrop."""
    left, top = (round((extent - mine) / 2) for extent, mine in zip(size, part, strict=True))
    return left, top, left + part[0], top + part[1]


def _padded(picture: Image.Image, width: int, height: int) -> Image.Image:
    if picture.width > width or picture.height > height:
        # As ImageOps.contain, which leaves nothing of a picture much longer than wide.
        times = min(width / picture.width, height / picture.height)
        picture = picture.resize(tuple(max(1, round(extent * times)) for extent in picture.size), BILINEAR)
    whole = Image.new(picture.mode, (width, height))
    whole.paste(picture, ((width - picture.width) // 2, (height - picture.height) // 2))
    return whole
