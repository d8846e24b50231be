"""A fault in what lies beside a picture's pixels costs no picture."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_sets import noise, write_tiff

from evae.data.bare import bare
from evae.data.pictures import BrokenPicture, decode, many

PIXELS = noise(16, 16, 3, seed=3)


def encoded(kind: str, **options: object) -> bytes:
    Image.fromarray(PIXELS).save(file := io.BytesIO(), format=kind, **options)
    return file.getvalue()


def pixels(tmp_path, content: bytes) -> np.ndarray:
    (tmp_path / "picture").write_bytes(content)
    return as_loaded(tmp_path / "picture", 3)


def as_loaded(path: Path, channels: int) -> np.ndarray:
    """In the way of a data source: Pillow's warnings, which are errors in tests, are silenced there."""
    return many(lambda file: decode(file, 16, channels, "resize"), [path])[0]


def chunk(kind: bytes, data: bytes, crc: int | None = None) -> bytes:
    checked = kind + data
    return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked) if crc is None else crc)


def segment(marker: int, data: bytes, length: int | None = None) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2 if length is None else length) + data


BOMB = zlib.compress(bytes(5_000_000))
PNG_CHUNKS = {
    "EXIF that is none": chunk(b"eXIf", b"\x00\x08\x00\x02\x01\x12\x00\x03"),
    "empty EXIF": chunk(b"eXIf", b""),
    "EXIF with a wrong sum": chunk(b"eXIf", b"II*\0\x08\0\0\0\0\0\0\0\0\0", crc=5),
    "EXIF that is cut off": chunk(b"eXIf", b"MM\0*\0\0\0\x08\xff\xff"),
    "EXIF as text": chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n 10\nzz\n")),
    "colour profile of another compression": chunk(b"iCCP", b"n\0\5abc"),
    "empty colour profile": chunk(b"iCCP", b""),
    "huge colour profile": chunk(b"iCCP", b"n\0\0" + BOMB),
    "text of another compression": chunk(b"zTXt", b"k\0\7abc"),
    "huge text": chunk(b"zTXt", b"k\0\0" + BOMB),
    "text with a wrong sum": chunk(b"tEXt", b"k\0v", crc=1),
    "XMP": chunk(b"iTXt", b'XML:com.adobe.xmp\0\0\0\0\0<tiff:Orientation="9'),
    "short chromaticities": chunk(b"cHRM", b"12"),
    "short gamma": chunk(b"gAMA", b"1"),
    "short density": chunk(b"pHYs", b"1"),
    "empty sRGB": chunk(b"sRGB", b""),
    "short animation": chunk(b"acTL", b"1"),
    "private": chunk(b"prVt", b"x", crc=3),
}


@pytest.mark.parametrize("place", [b"IDAT", b"IEND"])
@pytest.mark.parametrize("name", PNG_CHUNKS)
def test_png(tmp_path, name, place):
    content = encoded("PNG")
    at = content.index(place) - 4
    assert np.array_equal(pixels(tmp_path, content[:at] + PNG_CHUNKS[name] + content[at:]), PIXELS.transpose(2, 0, 1))


@pytest.mark.parametrize(
    "broken",
    [
        segment(0xE1, b"Exif\0\0garbage"),
        segment(0xE1, b"Exif\0\0II*\0") * 2,
        segment(0xE1, b"Exif\0\0abc", length=13),
        segment(0xE2, b"ICC_PROFILE\0"),
        segment(0xE2, b"ICC_PROFILE\0\5\1xxx"),
        segment(0xE2, b"MPF\0garbage"),
        segment(0xED, b"Photoshop 3.0\x008BIM\x04"),
        segment(0xED, b"Photoshop 3.0\x008BIM\x03\xed\0\0\0\0\0\5abcde"),
        segment(0xE0, b"JFIF\0"),
        segment(0xEE, b"Adobe"),
        segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0\xff\xfe"),
        segment(0xFE, b""),
    ],
    ids=[
        "exif",
        "two exif",
        "exif too long",
        "icc",
        "icc number",
        "mpf",
        "8bim",
        "8bim 2",
        "jfif",
        "adobe",
        "xmp",
        "com",
    ],
)
def test_jpeg(tmp_path, broken):
    content = encoded("JPEG", quality=90)
    assert np.array_equal(pixels(tmp_path, content[:2] + broken + content[2:]), pixels(tmp_path, content))


def test_webp(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 3
    whole = encoded("WEBP", lossless=True, exif=exif, icc_profile=b"garbage", xmp=b"<x>" * 9)
    upright = PIXELS.transpose(2, 0, 1)
    turned = upright[:, ::-1, ::-1]
    assert np.array_equal(pixels(tmp_path, whole), turned)
    assert np.array_equal(pixels(tmp_path, whole.replace(b"XMP \x1b", b"XMP \xff")), turned)  # longer than the file
    at = whole.index(b"EXIF")
    assert np.array_equal(pixels(tmp_path, whole[: at + 8] + b"x" * (len(whole) - at - 8)), upright)
    assert np.array_equal(pixels(tmp_path, whole[: at + 4] + b"\xff\xff\0\0" + whole[at + 8 :]), upright)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("tag", [34665, 34853, 34675, 700, 270, 282, 330, 33723, 40965, 50000])
def test_tiff(tmp_path, tag, order):
    """A tag that points behind the end of the file."""
    path = tmp_path / "grey.tif"
    write_tiff(path, PIXELS[..., 0], 8, order=order, **{f"t{tag}": 10**8})
    assert np.array_equal(as_loaded(path, 1)[0], PIXELS[..., 0])
    content = path.read_bytes()
    at = content.index(struct.pack(f"{order}H", tag) + struct.pack(f"{order}H", 4))
    for kind, count in ((2, 10**9), (5, 1), (7, 10**6), (99, 1)):
        entry = struct.pack(f"{order}HHII", tag, kind, count, 10**9)
        path.write_bytes(content[:at] + entry + content[at + 12 :])
        assert np.array_equal(as_loaded(path, 1)[0], PIXELS[..., 0])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_damage_of_the_pixels_is_no_fault_beside_them(tmp_path, kind):
    options = {"WEBP": {"lossless": True}}.get(kind, {})
    content = encoded(kind, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0", icc_profile=b"profile", **options)
    assert pixels(tmp_path, content).shape == (3, 16, 16)
    with pytest.raises(BrokenPicture):
        pixels(tmp_path, content[: len(content) * 2 // 3])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_a_bare_file_has_the_pixels_and_nothing_else(tmp_path, kind):
    options = {"WEBP": {"lossless": True}}.get(kind, {})
    content = encoded(kind, icc_profile=b"the profile", xmp=b"the profile", **options)
    (tmp_path / "picture").write_bytes(content)
    with Image.open(io.BytesIO(bare(tmp_path / "picture"))) as picture, Image.open(tmp_path / "picture") as before:
        assert "icc_profile" in before.info
        assert "icc_profile" not in picture.info
        assert np.array_equal(np.asarray(picture), np.asarray(before))
