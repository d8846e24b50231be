"""Pictures cut into tiles: their own pixels, and all of a picture in one split."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_sets import noise, write_pictures

from evae.data import DataRecipe, ImageSet, load
from evae.data.pictures import cut
from evae.errors import UserError


def tiled(folder: Path, size: int, **given: object) -> ImageSet:
    return load(DataRecipe(source=f"folder:{folder}", fit="tiles", image_size=size, **given))


def test_tiles_have_the_pictures_own_pixels_about_its_middle(tmp_path):
    pixels = noise(37, 50, 3)
    Image.fromarray(pixels).save(tmp_path / "one.png")
    tiles = cut(tmp_path / "one.png", 16, 3)
    assert tiles.shape == (6, 3, 16, 16)  # three across, two down; 1 px is left at each side, 2 and 3 above and below
    expected = pixels[2:34, 1:49].reshape(2, 16, 3, 16, 3).transpose(0, 2, 4, 1, 3).reshape(6, 3, 16, 16)
    assert np.array_equal(tiles, expected)
    assert np.array_equal(cut(tmp_path / "one.png", 16, 3, 4), tiles[4:5])


@pytest.mark.parametrize("orientation", [3, 6])
def test_a_turned_picture_has_as_many_tiles(orientation, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(noise(37, 50, 3)).save(tmp_path / "one.png", exif=exif)
    assert len(cut(tmp_path / "one.png", 16, 3)) == 6


@pytest.mark.parametrize("validation", [None, 20])
def test_all_tiles_of_a_picture_are_in_the_same_split(validation, tmp_path):
    # Each picture has a grey of its own, with a little grain.
    for number in range(50):
        grain = noise(40, 50, seed=number) // 86
        Image.fromarray(4 * number + grain).save(tmp_path / f"{number:02}.png")
    images = tiled(tmp_path, 16, validation_images=validation)
    of = {split: set((getattr(images, split)[:, 0, 0, 0] // 4).tolist()) for split in ("train", "validation", "test")}
    assert not of["train"] & of["validation"] and not (of["train"] | of["validation"]) & of["test"]
    assert len(images.validation) == (validation or 6 * len(of["validation"]))
    assert len(images.train) == 6 * len(of["train"]) and len(images.test) == 6 * len(of["test"])
    assert any("cut into tiles" in note for note in images.notes)


def test_a_smaller_cap_takes_a_part(tmp_path):
    write_pictures(tmp_path, 40, (40, 50))
    whole, few = tiled(tmp_path, 16, validation_images=9), tiled(tmp_path, 16, validation_images=9, train_images=10)
    assert np.array_equal(few.train, whole.train[:10])
    assert np.array_equal(few.validation, whole.validation)


def test_pictures_smaller_than_a_tile_are_refused_with_their_count_and_the_remedy(tmp_path):
    write_pictures(tmp_path, 20, (40, 50))
    write_pictures(tmp_path, 3, (30, 60), seed=1)
    with pytest.raises(UserError, match=r"3 of 23 pictures are smaller than a tile of 32 px .*image_size at most 30"):
        tiled(tmp_path, 32)
    assert tiled(tmp_path, 30, validation_images=2).image_size == 30


def test_sources_without_files_have_no_tiles():
    with pytest.raises(UserError, match="no picture files to cut"):
        DataRecipe(source="mnist", fit="tiles")


@pytest.mark.parametrize("size", [28, 48, 64, 200, 512])
def test_every_size_can_be_had_of_pictures_of_any_form(size, tmp_path):
    write_pictures(tmp_path, 24, (60, 40))
    images = load(DataRecipe(source=f"folder:{tmp_path}", image_size=size, validation_images=2))
    assert images.train.shape[1:] == images.test.shape[1:] == (3, size, size)
