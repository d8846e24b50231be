import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from small_sets import noise

from evae.data.pictures import BrokenPicture, decode, many

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")


def encoded(kind: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(noise(20, 24, 3)).save(file, format=kind)
    return file.getvalue()


GOOD = {kind: encoded(kind) for kind in FORMATS}


@pytest.mark.parametrize("kind", FORMATS)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    kept=st.floats(0.02, 1),
    flips=st.lists(st.tuples(st.floats(0, 0.999), st.integers(1, 255)), max_size=4),
)
def test_damage_ends_in_pixels_or_in_a_broken_picture(kind, kept, flips, tmp_path):
    content = bytearray(GOOD[kind][: max(1, int(kept * len(GOOD[kind])))])
    for place, change in flips:
        content[int(place * len(content))] ^= change
    path = tmp_path / "picture"
    path.write_bytes(content)
    try:
        (pixels,) = many(lambda file: decode(file, 16, 3, "resize"), [path])
    except BrokenPicture:
        return
    assert pixels.shape == (3, 16, 16)
    assert pixels.dtype == np.uint8


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_read(kind, tmp_path):
    path = tmp_path / "picture"
    path.write_bytes(GOOD[kind])
    pixels = decode(path, 20, 3, "resize")
    original = noise(20, 24, 3)[:, 2:22].transpose(2, 0, 1)
    if kind in ("PNG", "BMP", "TIFF"):
        assert np.array_equal(pixels, original)
    else:
        assert np.corrcoef(pixels.ravel(), original.ravel())[0, 1] > 0.5


def test_a_photo_decoded_at_reduced_size_is_the_photo_resized(tmp_path):
    """The slow twin decodes all of the JPEG file, the fast way only what its size needs."""
    from sklearn.datasets import load_sample_image

    path: Path = tmp_path / "photo.jpg"
    Image.fromarray(load_sample_image("china.jpg")[:424, :424]).save(path, quality=95)
    with Image.open(path) as picture:
        assert picture.draft(None, (64, 64)) is not None
        assert picture.size != (424, 424)  # or this test would compare one way with itself
    with Image.open(path) as picture:
        whole = picture.resize((32, 32), Image.Resampling.BILINEAR)
    difference = decode(path, 32, 3, "resize").astype(int) - np.asarray(whole).transpose(2, 0, 1)
    assert np.abs(difference).max() <= 6
    assert np.abs(difference).mean() < 1
