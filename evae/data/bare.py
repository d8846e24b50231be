"""A picture's file without what lies beside the pixels, for when a fault in that keeps it from being read."""

import os
import struct
import zlib
from collections.abc import Callable
from typing import IO

LARGEST_BYTES = 2**29
# Tags of TIFF 6.0 and its supplements that say how the pixels are stored, and orientation (274).
TIFF_PIXELS = frozenset(
    [256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 284, 292, 293, 317, 320, 322, 323, 324, 325, 338, 339, 347]
) | frozenset([*range(512, 522), 529, 530, 531, 532])
WEBP_PIXELS = frozenset({b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF"})

File = str | os.PathLike[str] | Callable[[], IO[bytes]]
"""A picture's file: its path, or what opens it where it is a part of another file."""


def opened(file: File) -> IO[bytes]:
    """The file, to be read."""
    return file() if callable(file) else open(file, "rb")


def bare(file: File) -> bytes | None:
    """The content of a PNG, JPEG, WebP or TIFF file without profiles, texts, thumbnails, EXIF that is damaged, ...

    None where there is nothing of that to leave out, for files of other formats, and above `LARGEST_BYTES`.
    """
    try:
        with opened(file) as given:
            start = given.read(16)
            strip = next((strip for accepts, strip in _FORMATS if accepts(start)), None)
            if strip is None or given.seek(0, os.SEEK_END) > LARGEST_BYTES:
                return None
            given.seek(0)
            content = given.read()
        stripped = strip(content)
    except (OSError, struct.error, IndexError):
        return None
    return None if stripped == content else stripped


def _png(content: bytes) -> bytes:
    """Chunks that must be understood to see the pixels, transparency, and EXIF with its sum right."""
    parts, at = [content[:8]], 8
    while at + 8 <= len(content):
        length, kind = struct.unpack(">I4s", content[at : at + 8])
        chunk = content[at : at + 12 + length]
        is_critical = not kind[0] & 0x20
        is_exif = kind == b"eXIf" and zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:])
        if is_critical or is_exif or kind == b"tRNS":
            parts.append(chunk)
        at += 12 + length
    return b"".join(parts)


def _jpeg(content: bytes) -> bytes:
    """All segments but comments and applications', of which EXIF and a whole one of Adobe's (the colours) stay."""
    parts, at = [content[:2]], 2
    while content[at] == 0xFF:
        marker = content[at + 1]
        if marker == 0xFF:  # padding
            at += 1
            continue
        if marker == 0xDA:  # the pixels
            break
        end = at + 2 + struct.unpack(">H", content[at + 2 : at + 4])[0]
        is_exif = marker == 0xE1 and content[at + 4 : at + 8] == b"Exif"
        is_adobe = marker == 0xEE and end - at >= 16
        if is_exif or is_adobe or not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            parts.append(content[at:end])
        at = end
    return b"".join([*parts, content[at:]])


def _webp(content: bytes) -> bytes:
    """The chunks of pixels and EXIF that is whole; the header must not promise a profile or XMP."""
    parts, at = [], 12
    while at + 8 <= len(content):
        kind, length = struct.unpack("<4sI", content[at : at + 8])
        end = at + 8 + length + length % 2
        chunk = content[at:end]
        if kind == b"VP8X":
            chunk = chunk[:8] + bytes([chunk[8] & ~0b100100]) + chunk[9:]
        if kind in WEBP_PIXELS or (kind == b"EXIF" and end <= len(content)):
            parts.append(chunk)
        at = end
    body = b"WEBP" + b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _tiff(content: bytes) -> bytes:
    """The first page, with a new directory behind everything else, so that all offsets stay true."""
    order = "<" if content[:2] == b"II" else ">"
    (at,) = struct.unpack(f"{order}I", content[4:8])
    (count,) = struct.unpack(f"{order}H", content[at : at + 2])
    entries = [content[start : start + 12] for start in range(at + 2, at + 2 + 12 * count, 12)]
    kept = [entry for entry in entries if struct.unpack(f"{order}H", entry[:2])[0] in TIFF_PIXELS]
    if len(kept) == count:
        return content
    content += bytes(len(content) % 2)
    directory = struct.pack(f"{order}H", len(kept)) + b"".join(kept) + bytes(4)
    return content[:4] + struct.pack(f"{order}I", len(content)) + content[8:] + directory


_FORMATS: list[tuple[Callable[[bytes], bool], Callable[[bytes], bytes]]] = [
    (lambda start: start.startswith(b"\x89PNG\r\n\x1a\n"), _png),
    (lambda start: start.startswith(b"\xff\xd8\xff"), _jpeg),
    (lambda start: start[:4] == b"RIFF" and start[8:12] == b"WEBP", _webp),
    (lambda start: start[:4] in (b"II*\0", b"MM\0*"), _tiff),
]
