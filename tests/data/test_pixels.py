import numpy as np
import pytest
from PIL import Image
from small_sets import noise

from evae.data import tensor
from evae.data.pixels import CHUNK_IMAGES, to_channels, to_size


def test_tensor_is_a_view_of_a_read_only_array():
    array = noise(4, 1, 8, 8)
    array.flags.writeable = False
    view = tensor(array)
    assert view.data_ptr() == array.ctypes.data
    assert view.shape == array.shape
    assert np.array_equal(view.numpy(), array)


def test_grey_is_what_pillow_makes_of_every_colour():
    colours = noise(CHUNK_IMAGES + 3, 3, 8, 8)
    grey = to_channels(colours, 1)
    for i in (0, 1, CHUNK_IMAGES - 1, CHUNK_IMAGES, CHUNK_IMAGES + 2):
        assert np.array_equal(grey[i, 0], np.asarray(Image.fromarray(colours[i].transpose(1, 2, 0)).convert("L")))


def test_grey_as_rgb_and_back_is_the_same():
    images = noise(5, 1, 9, 9)
    assert np.array_equal(to_channels(to_channels(images, 3), 1), images)


@pytest.mark.parametrize(("side", "size"), [(28, 32), (64, 32), (50, 31)])
def test_resize_agrees_with_pillow(side, size):
    """Pillow's bilinear filter is antialiased too; it rounds after each of two passes, hence one level."""
    images = noise(3, 3, side, side)
    resized = to_size(images, size, "resize")
    for before, after in zip(images, resized, strict=True):
        other = Image.fromarray(before.transpose(1, 2, 0)).resize((size, size), Image.Resampling.BILINEAR)
        difference = after.astype(int) - np.asarray(other).transpose(2, 0, 1)
        assert np.abs(difference).max() <= 1


def test_resize_of_many_is_resize_of_each():
    images = noise(CHUNK_IMAGES + 2, 1, 8, 8)
    resized = to_size(images, 9, "resize")
    for i in (0, CHUNK_IMAGES - 1, CHUNK_IMAGES, CHUNK_IMAGES + 1):
        assert np.array_equal(resized[i : i + 1], to_size(images[i : i + 1], 9, "resize"))


@pytest.mark.parametrize(("side", "size", "before"), [(28, 32, 2), (27, 32, 2), (28, 33, 2), (31, 32, 0)])
def test_pad_keeps_the_pixels_and_adds_zeros_only(side, size, before):
    images = noise(2, 3, side, side)
    padded = to_size(images, size, "pad")
    assert padded.shape == (2, 3, size, size)
    assert np.array_equal(padded[:, :, before : before + side, before : before + side], images)
    assert padded.sum(dtype=int) == images.sum(dtype=int)


def test_pad_shrinks_what_is_too_large():
    images = noise(2, 1, 40, 40)
    assert np.array_equal(to_size(images, 32, "pad"), to_size(images, 32, "resize"))
