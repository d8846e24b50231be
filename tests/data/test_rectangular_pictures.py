"""Pictures as images that are no squares: cut, padded, in tiles, turned, from memory and from their files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image
from small_sets import noise, write_shard

from evae.data import DataRecipe, ImageSet, load
from evae.data.pictures import decode
from evae.data.pixels import to_size
from evae.errors import UserError

SPLITS = ("train", "validation", "test")


def write(folder: Path, count: int = 60, height: int = 20, width: int = 30) -> Path:
    folder.mkdir(exist_ok=True)
    for number in range(count):
        Image.fromarray(noise(height, width, 3, seed=number)).save(folder / f"{number:02}.png")
    return folder


def of(folder: Path, stream: str = "auto", **given: object) -> ImageSet:
    return load(DataRecipe(source=f"folder:{folder}", **({"validation_images": 5} | given)), stream=stream)


def turned(path: Path, image: np.ndarray) -> Path:
    """A file that is stored on its side, and says so."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(np.rot90(image)).save(path, exif=exif)
    return path


def test_the_largest_part_of_the_proportions_is_cut_out_of_the_middle(tmp_path):
    picture = noise(20, 30, 3)
    Image.fromarray(picture).save(tmp_path / "a.png")
    for size, part in (((20, 10), picture[:, 10:20]), ((10, 30), picture[5:15]), (20, picture[:, 5:25])):
        assert np.array_equal(decode(tmp_path / "a.png", size, 3, "resize"), part.transpose(2, 0, 1))
        whole = picture.transpose(2, 0, 1)[None]
        assert np.array_equal(to_size(whole, size, "resize")[0], part.transpose(2, 0, 1))


def test_zeros_are_put_around_what_fits_and_what_does_not_is_shrunk_whole(tmp_path):
    picture = np.full((20, 30, 3), 200, np.uint8)
    Image.fromarray(picture).save(tmp_path / "a.png")
    whole = picture.transpose(2, 0, 1)[None]
    for size, box in (((24, 40), (2, 22, 5, 35)), ((20, 15), (5, 15, 0, 15)), ((10, 60), (0, 10, 22, 37))):
        wanted = np.zeros((3, *size), np.uint8)
        wanted[:, box[0] : box[1], box[2] : box[3]] = 200
        assert np.array_equal(decode(tmp_path / "a.png", size, 3, "pad"), wanted)
        assert np.array_equal(to_size(whole, size, "pad")[0], wanted)


def test_jpegs_are_decoded_small_and_look_the_same(tmp_path):
    smooth = np.add.outer(np.arange(400) // 4, np.arange(600) // 6).astype(np.uint8)
    for name in ("a.png", "a.jpg"):
        Image.fromarray(smooth).save(tmp_path / name)
    png, jpeg = (decode(tmp_path / name, (16, 24), 1, "resize").astype(int) for name in ("a.png", "a.jpg"))
    assert png.shape == (1, 16, 24) and np.abs(png - jpeg).max() <= 4


@pytest.mark.parametrize(
    "given",
    [{"image_size": (16, 24)}, {"image_size": (24, 16), "fit": "pad"}, {"image_size": (10, 15), "fit": "tiles"}],
    ids=lambda given: given.get("fit", "resize"),
)
def test_streamed_they_are_what_they_are_in_memory(given, tmp_path):
    write(tmp_path / "pictures")
    memory, stream = (of(tmp_path / "pictures", kind, **given) for kind in ("never", "always"))
    assert stream.streamed and stream.describe() == memory.describe() and memory.image_size == given["image_size"]
    assert all(np.array_equal(getattr(stream, split)[:], getattr(memory, split)) for split in SPLITS)


def test_tiles_are_cut_of_pictures_as_they_are_turned(tmp_path):
    for number in range(30):
        turned(tmp_path / f"{number:02}.png", noise(20, 30, 3, seed=number))
    images = of(tmp_path, image_size=(20, 15), fit="tiles")
    there = {image.tobytes() for split in SPLITS for image in getattr(images, split)}
    wanted = [noise(20, 30, 3, seed=n)[:, x : x + 15] for n in range(30) for x in (0, 15)]
    assert there <= {tile.transpose(2, 0, 1).tobytes() for tile in wanted}
    # All tiles of the pictures that are used: those for validation are capped.
    assert len(images.train) + len(images.test) > 40
    with pytest.raises(UserError, match=r"30 of 30 pictures are smaller than a tile of 24 x 16 px"):
        of(tmp_path, image_size=(24, 16), fit="tiles")


def test_shards_give_them_too(tmp_path):
    write(tmp_path / "pictures")
    files = sorted((tmp_path / "pictures").iterdir())
    write_shard(tmp_path / "a.tar", {path.name: path.read_bytes() for path in files})
    images = load(DataRecipe(source=f"shards:{tmp_path / 'a.tar'}", image_size=(20, 30), validation_images=5))
    there = {image.tobytes() for split in SPLITS for image in getattr(images, split)}
    assert there == {noise(20, 30, 3, seed=n).transpose(2, 0, 1).tobytes() for n in range(60)}


def test_a_square_that_is_said_by_two_sides_is_the_square():
    assert DataRecipe(image_size=(32, 32)) == DataRecipe(image_size=32)


@pytest.mark.parametrize("source", ["photos", "patches", "patches:whitened"])
def test_patches_of_photos_are_cut_in_any_proportions(source):
    images = load(DataRecipe(source=source, image_size=(8, 24), train_images=20, test_images=5, validation_images=5))
    assert images.train.shape[2:] == (8, 24) and images.image_size == (8, 24)
