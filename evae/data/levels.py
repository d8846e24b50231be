"""What is black and what is white in a file's numbers: Pillow hands the numbers over, and mostly not that."""

from typing import Any

import numpy as np
from PIL import Image, TiffImagePlugin

from evae.data.bare import File, opened

WHITE_PAPER = (255, 255, 255, 255)
SIXTEEN_BITS = 65535
# Formats whose samples of 16 bits fill their range, or are scaled to it by Pillow; TIFF says how many bits it has.
SCALED_TO_16_BITS = frozenset({"PNG", "JPEG2000", "PPM"})
SIGNED = 2
"""Value of the TIFF tag SampleFormat."""
MIN_IS_WHITE = 0
"""Value of the TIFF tag PhotometricInterpretation."""


def unknown_levels(picture: Image.Image) -> str | None:
    """Why it cannot be known which of the picture's numbers are black and white; None where it is known."""
    if picture.mode == "LAB":
        return "colours in CIE Lab: save it as RGB"
    kind = None
    if picture.mode == "F":
        kind = "32-bit floating-point"
    elif picture.format == "TIFF":
        tags = _tiff_tags(picture)
        bits = tags.get(TiffImagePlugin.BITSPERSAMPLE, (1,))[0]
        if SIGNED in tags.get(TiffImagePlugin.SAMPLEFORMAT, ()):
            kind = f"signed {bits}-bit"
        elif bits == 32:
            kind = "32-bit"
    elif picture.mode.startswith("I") and picture.format not in SCALED_TO_16_BITS:
        kind = f"{picture.format}'s 16-bit or 32-bit"
    return kind and f"{kind} numbers, whose black and white are not known: save it with 8 or 16 bits as PNG"


def eight_bits(picture: Image.Image) -> Image.Image:
    """8 bits a channel, black 0 and white 255, and transparency laid over white paper.

    Takes pictures whose levels are known (`unknown_levels`), loaded.
    """
    if picture.mode.startswith("I"):
        numbers = np.asarray(picture).astype(np.float32)
        white, is_inverted = SIXTEEN_BITS, False
        if picture.format == "TIFF":
            tags = _tiff_tags(picture)
            white = 2 ** tags[TiffImagePlugin.BITSPERSAMPLE][0] - 1
            is_inverted = tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION, MIN_IS_WHITE) == MIN_IS_WHITE
        levels = np.clip(numbers * (255 / white), 0, 255).round().astype(np.uint8)
        return Image.fromarray(255 - levels if is_inverted else levels)
    if picture.has_transparency_data:
        picture = picture.convert("LA") if picture.mode == "La" else picture  # Pillow knows no other way from it
        picture = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", picture.size, WHITE_PAPER), picture)
    return picture


def unread_tiff(file: File) -> str | None:
    """What kind of TIFF a file is whose pixels Pillow does not read; None where it is no TIFF."""
    try:
        with opened(file) as content:
            header = content.read(8)
            if not header.startswith(tuple(TiffImagePlugin.PREFIXES)):
                return None
            header += content.read(8) if 43 in header[2:4] else b""  # BigTIFF
            tags = TiffImagePlugin.ImageFileDirectory_v2(header)
            content.seek(tags.next)
            tags.load(content)
        bits = tags.get(TiffImagePlugin.BITSPERSAMPLE, (1,))
        kind = tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION, MIN_IS_WHITE)
    except Exception:  # as any decoder, it raises errors of any type for a damaged file
        return None
    return (
        f"a kind of TIFF that cannot be read, or damaged: {'+'.join(map(str, bits))} bits a sample, photometric "
        f"interpretation {kind}; save it with 8 or 16 bits and black as 0"
    )


def _tiff_tags(picture: Image.Image) -> Any:
    assert isinstance(picture, TiffImagePlugin.TiffImageFile)
    return picture.tag_v2
