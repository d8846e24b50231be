"""Black comes to 0 and white to 255, or the file is left out with the reason: whatever the bits and the meaning."""

import numpy as np
import pytest
from PIL import Image
from small_sets import write_tiff

from evae.data.pictures import BrokenPicture, decode, is_grey, look_at

WIDTH = 63
RAMP = np.tile(np.linspace(0, 1, WIDTH), (64, 1))
READ_AS_GREY = {
    **{(bits, photometric, order): True for bits in (1, 2, 4, 8) for photometric in (0, 1) for order in "<>"},
    (12, 1, "<"): True,
    (16, 1, "<"): True,
    (16, 1, ">"): True,
    (16, 0, "<"): True,
}


def grey(path) -> np.ndarray:
    return decode(path, 64, 1, "pad")[0, :, :WIDTH]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize("bits", [1, 2, 4, 8, 10, 12, 14, 16, 24, 32])
def test_a_tiff_is_scaled_by_its_bits_or_left_out_with_them(tmp_path, bits, photometric, order):
    """An odd width, so that rows of 12 bits end within a byte."""
    path = tmp_path / "ramp.tif"
    values = (RAMP * (2**bits - 1)).round()
    write_tiff(path, values, bits, photometric, order)
    brightness = values / (2**bits - 1)
    expected = 255 * (brightness if photometric else 1 - brightness)
    if (bits, photometric, order) in READ_AS_GREY:
        assert np.abs(grey(path) - expected).max() <= 1
        assert look_at(path, is_grey)
    else:
        with pytest.raises(BrokenPicture, match=str(bits)):
            grey(path)


@pytest.mark.parametrize("bits", [8, 16, 32])
def test_signed_numbers_are_left_out(tmp_path, bits):
    write_tiff(tmp_path / "signed.tif", RAMP * 100, bits, t339=2)
    with pytest.raises(BrokenPicture, match=f"signed {bits}-bit numbers"):
        grey(tmp_path / "signed.tif")


@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize(
    ("mode", "compression"),
    [(mode, how) for mode in ("1", "L", "I;16") for how in ("tiff_lzw", "tiff_adobe_deflate", "packbits")]
    + [("1", "group3"), ("1", "group4")],
)
def test_compressed_tiffs_have_the_same_black_and_white(tmp_path, mode, photometric, compression):
    array = {"1": RAMP > 0.5, "L": (RAMP * 255).astype(np.uint8), "I;16": (RAMP * 65535).astype(np.uint16)}[mode]
    Image.fromarray(array).save(tmp_path / "ramp.tif", compression=compression, tiffinfo={262: photometric})
    expected = RAMP * 255 if mode != "1" else array * 255
    if mode == "I;16" and not photometric:  # Pillow turns 1 and 8 bits round when it writes, 16 it does not
        expected = 255 - expected
    assert np.abs(grey(tmp_path / "ramp.tif") - expected).max() <= 1


@pytest.mark.parametrize("maxval", [1, 15, 100, 255, 1023, 4095, 65535])
@pytest.mark.parametrize("magic", ["P2", "P3", "P5", "P6"])
def test_netpbm_is_scaled_by_its_maxval(tmp_path, magic, maxval):
    values = (RAMP * maxval).round().astype(int)
    samples = values if magic in ("P2", "P5") else np.repeat(values[..., None], 3, axis=2)
    text = " ".join(map(str, samples.ravel())).encode()
    body = text if magic in ("P2", "P3") else samples.astype(">u2" if maxval > 255 else "u1").tobytes()
    (tmp_path / "ramp.pnm").write_bytes(f"{magic}\n{WIDTH} 64\n{maxval}\n".encode() + body)
    assert np.abs(grey(tmp_path / "ramp.pnm") - values * 255 / maxval).max() <= 1
    assert look_at(tmp_path / "ramp.pnm", is_grey) == (magic in ("P2", "P5"))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG2000", "PPM"])
def test_sixteen_bits_of_every_format_fill_eight(tmp_path, kind):
    Image.fromarray((RAMP * 65535).round().astype(np.uint16)).save(tmp_path / "ramp", format=kind)
    assert np.abs(grey(tmp_path / "ramp") - RAMP * 255).max() <= 1


@pytest.mark.parametrize(
    ("name", "picture", "said"),
    [
        ("float.tif", Image.fromarray(RAMP.astype(np.float32)), "32-bit floating-point numbers"),
        ("float.pfm", Image.fromarray(RAMP.astype(np.float32)), "32-bit floating-point numbers"),
        ("lab.tif", Image.new("LAB", (64, 64)), "CIE Lab"),
    ],
)
def test_numbers_without_black_and_white_are_left_out(tmp_path, name, picture, said):
    picture.save(tmp_path / name, format="PPM" if name.endswith("pfm") else None)
    with pytest.raises(BrokenPicture, match=said):
        grey(tmp_path / name)


def test_fits_of_sixteen_bits_is_left_out(tmp_path):
    cards = ["SIMPLE  =                    T", "BITPIX  =                   16", "NAXIS   =                    2"]
    cards += ["NAXIS1  =                   64", "NAXIS2  =                   64", "END"]
    header = "".join(card.ljust(80) for card in cards).ljust(2880).encode()
    (tmp_path / "sky.fits").write_bytes(header + bytes(64 * 64 * 2))
    with pytest.raises(BrokenPicture, match="FITS's 16-bit"):
        grey(tmp_path / "sky.fits")


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pictures_of_any_bits_are_turned_as_exif_says(tmp_path, dtype, kind):
    """A quarter clockwise: what was left is above, and the width is another."""
    exif = Image.Exif()
    exif[0x0112] = 6
    ramp = (RAMP * np.iinfo(dtype).max).astype(dtype)
    Image.fromarray(ramp).save(tmp_path / "ramp", format=kind, exif=exif)
    turned = decode(tmp_path / "ramp", 64, 1, "pad")[0, :WIDTH]
    assert np.abs(turned - RAMP.T * 255).max() <= 1


def test_a_strip_is_padded_not_lost(tmp_path):
    Image.new("L", (1, 500), 200).save(tmp_path / "strip.png")
    assert decode(tmp_path / "strip.png", 32, 1, "pad")[0].max() == 200
