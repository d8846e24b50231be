"""Patches of natural pictures: where they come from, and what they are."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evae.data import DataRecipe, load
from evae.data.patches import Wanted, wanted
from evae.data.whitening import intensities
from evae.errors import UserError
from evae.likelihoods import Bernoulli, SumOfSquares
from evae.networks import Linear
from evae.recipe import Recipe

SMALL = ",count=60"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve pictures, each of levels of its own: a patch says whose it is."""
    for place in range(12):
        first = 100 + 12 * place
        levels = np.random.default_rng(place).integers(first, first + 10, (40, 50), dtype=np.uint8)
        Image.fromarray(levels).save(tmp_path / f"{place}.png")
    return tmp_path


def patches(path: Path | str, options: str = SMALL, **given):
    return load(DataRecipe(source=f"patches:{path}{options}", **given))


def test_what_is_said_behind_the_folder():
    assert wanted("a,b/c,whitened,count=7,seed=3,log") == Wanted(
        folder="a,b/c", whitened=True, log=True, count=7, seed=3
    )
    assert wanted("") == Wanted() and wanted("whitened") == Wanted(whitened=True)
    for path in ("a,count=0", "a,count=many", "a,seed=-1", "a,count", "a,whitened=2"):
        with pytest.raises(UserError, match="patches cannot have"):
            wanted(path)


def test_no_picture_is_in_two_splits(folder):
    images = patches(folder)
    assert images.train.shape == (60, 1, 16, 16) and images.train.dtype == np.uint8 and images.kind == "images"
    light = 255 * intensities(np.arange(100, 244, 12, dtype=np.uint8)[None], log=False)[0]
    of = {}
    for split in ("train", "validation", "test"):
        darkest = getattr(images, split).min((1, 2, 3))
        of[split] = {int(np.abs(light - level).argmin()) for level in darkest}
    assert len(of["train"]) == 10 and len(of["validation"]) == len(of["test"]) == 1
    assert not of["train"] & of["test"] and not of["train"] & of["validation"] and of["test"] != of["validation"]
    assert any("no picture in two splits: 10 train, 1 validation, 1 test" in note for note in images.notes)


def test_the_same_patches_each_time_and_others_for_another_seed(folder):
    first, again, other = patches(folder), patches(folder), patches(folder, ",count=60,seed=1")
    assert first.digest == again.digest != other.digest
    assert not np.array_equal(first.train, other.train)


def test_whitened_patches_are_signals_of_variance_1(folder):
    images = patches(folder, ",whitened,log,count=400", image_size=12)
    assert images.kind == "signals" and images.train.dtype == np.float32 and images.train.shape == (400, 1, 12, 12)
    assert images.train.min() < -1 and abs(images.train.mean()) < 0.1
    assert images.train.var() == pytest.approx(1, abs=0.1)


def test_the_sample_photos_need_no_folder():
    for source in ("patches", "patches:count=50", "patches:whitened,count=50"):
        images = load(DataRecipe(source=source, train_images=40))
        assert images.train.shape == (40, 1, 16, 16)
    assert any("columns train 0-383, validation 384-511, test 512-639" in note for note in images.notes)
    with pytest.raises(UserError, match="patches of at most 128 px"):
        load(DataRecipe(source="patches", image_size=200))


def test_what_cannot_be_used_is_named(folder):
    Image.new("L", (40, 15)).save(folder / "low.png")
    Image.new("L", (30, 30), 7).save(folder / "flat.png")
    (folder / "broken.png").write_bytes((folder / "1.png").read_bytes()[:60])
    (folder / "again.png").write_bytes((folder / "1.png").read_bytes())
    notes = "; ".join(patches(folder, ",whitened,count=60").notes)
    assert "low.png (40 x 15 px, smaller than a patch of 16 px)" in notes
    assert "flat.png (of one grey, which cannot be whitened)" in notes
    assert "broken.png" in notes and "same pixels as" in notes
    assert "flat.png" not in "; ".join(patches(folder).notes)


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_pictures_to_split_are_an_error(folder, count):
    for place in range(count, 12):
        (folder / f"{place}.png").unlink()
    with pytest.raises(UserError, match=rf"has {count} picture\(s\) for patches, and at least one is needed for each"):
        patches(folder)


def test_pictures_smaller_than_a_patch_are_an_error_that_says_so(folder):
    with pytest.raises(UserError, match=r"has 0 picture\(s\).*50 x 40 px, smaller than a patch of 48 px"):
        patches(folder, image_size=48)


def test_small_pictures_have_no_more_patches_than_places(tmp_path):
    for place in range(3):
        Image.fromarray(np.random.default_rng(place).integers(0, 256, (17, 17), dtype=np.uint8)).save(
            tmp_path / f"{place}.png"
        )
    images = patches(tmp_path)
    assert len(images.train) == 4 and any("4 training patches instead of 60" in note for note in images.notes)


def test_no_folder_and_colour_are_errors(tmp_path):
    with pytest.raises(UserError, match="is not a folder: give patches:PATH"):
        patches(tmp_path / "none")
    with pytest.raises(UserError, match="whitened patches are grey: leave channels out"):
        load(DataRecipe(source="patches:whitened", channels=3))


def test_a_likelihood_of_images_in_0_to_1_does_not_take_signals():
    data = DataRecipe(source="patches:whitened")
    with pytest.raises(UserError, match=r"bernoulli likelihood is of images from 0 to 1, .*take .*sum_of_squares"):
        Recipe(data=data, network=Linear(), likelihood=Bernoulli())
    Recipe(data=data, network=Linear(), likelihood=SumOfSquares())
    Recipe(data=DataRecipe(source="patches"), likelihood=Bernoulli())
