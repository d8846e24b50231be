import numpy as np
import pytest
from PIL import Image
from small_sets import write_pictures

from evae.data import DataRecipe, ImageSet, load
from evae.data.own_splits import split
from evae.errors import UserError

BRIGHTNESS = {"train": 60, "val": 130, "test": 200, "other": 250}


def fill(folder, what: str, count: int) -> None:
    """Pictures that show by their brightness what they are for."""
    folder.mkdir(parents=True)
    draw = np.random.default_rng([BRIGHTNESS[what], count])
    for number in range(count):
        Image.fromarray(draw.normal(BRIGHTNESS[what], 3, (32, 32)).astype(np.uint8)).save(folder / f"{number}.png")


def loaded(folder, **given: object) -> ImageSet:
    return load(DataRecipe(source=f"folder:{folder}", **given))


def kinds(images: np.ndarray) -> set[str]:
    means = images.mean((1, 2, 3))
    return {min(BRIGHTNESS, key=lambda what: abs(BRIGHTNESS[what] - mean)) for mean in means}


@pytest.mark.parametrize("where", ["", "wrapped/", "a/b/"])
@pytest.mark.parametrize(
    ("train", "val", "test"),
    [
        ("train", "val", "test"),
        ("Train", "Valid", "TEST"),
        ("training", "validation", "testing"),
        ("trainA", "valid_data", "testB"),
        ("train2017", "dev", "test_set"),
    ],
)
def test_all_three_are_honoured(tmp_path, train, val, test, where):
    fill(tmp_path / where / train / "cats", "train", 40)
    fill(tmp_path / where / val / "cats" / "small", "val", 20)
    fill(tmp_path / where / test, "test", 10)
    images = loaded(tmp_path)
    assert (len(images.train), len(images.validation), len(images.test)) == (40, 20, 10)
    assert [kinds(part) for part in (images.train, images.validation, images.test)] == [{"train"}, {"val"}, {"test"}]
    assert images.notes[0] == (
        f"the data set's own split: train from {where}{train}/ (40 files), validation from {where}{val}/ (20 files), "
        f"test from {where}{test}/ (10 files)"
    )


def test_train_and_test_give_a_validation_from_train(tmp_path):
    fill(tmp_path / "train", "train", 80)
    fill(tmp_path / "test", "test", 30)
    images = loaded(tmp_path)
    assert (len(images.train), len(images.validation), len(images.test)) == (70, 10, 30)
    assert kinds(images.train) == kinds(images.validation) == {"train"}
    assert kinds(images.test) == {"test"}
    assert "validation from the training files" in images.notes[0]


def test_train_and_val_give_a_test_from_train(tmp_path):
    fill(tmp_path / "train", "train", 80)
    fill(tmp_path / "val", "val", 30)
    images = loaded(tmp_path)
    assert len(images.train) + len(images.test) == 80
    assert kinds(images.train) == kinds(images.test) == {"train"}
    assert (len(images.validation), kinds(images.validation)) == (30, {"val"})
    assert "test: one in 10 of the training files" in images.notes[0]


def test_caps_and_counts_are_taken_from_each_split(tmp_path):
    for what in ("train", "val", "test"):
        fill(tmp_path / what, what, 20)
    whole = loaded(tmp_path)
    part = loaded(tmp_path, train_images=7, validation_images=6, test_images=5)
    assert np.array_equal(part.train, whole.train[:7])
    assert np.array_equal(part.validation, whole.validation[:6])
    assert np.array_equal(part.test, whole.test[:5])
    with pytest.raises(UserError, match=r"give at most 20$"):
        loaded(tmp_path, validation_images=21)


def test_pictures_outside_are_left_out_and_named(tmp_path):
    fill(tmp_path / "train", "train", 40)
    fill(tmp_path / "test", "test", 10)
    fill(tmp_path / "extra", "other", 5)
    Image.new("RGB", (90, 10), "red").save(tmp_path / "cover.png")
    images = loaded(tmp_path)
    assert (images.channels, images.image_size) == (1, 32)  # of the pictures that are used
    assert "other" not in kinds(np.concatenate([images.train, images.validation, images.test]))
    assert (
        "outside of the split's folders and left out: 6 pictures (cover.png, extra/0.png, extra/1.png and 3 more)"
        in (images.notes)
    )


def test_a_test_picture_is_not_trained_on_though_the_data_set_has_it_twice(tmp_path):
    fill(tmp_path / "train", "train", 40)
    fill(tmp_path / "test", "test", 10)
    for number in range(10):
        picture = (tmp_path / "test" / f"{number}.png").read_bytes()
        (tmp_path / "train" / f"copy-{number}.png").write_bytes(picture)
    images = loaded(tmp_path)
    assert kinds(images.train) == kinds(images.validation) == {"train"}
    assert len(images.test) == 10
    assert "10 files left out: train/copy-0.png (same pixels as test/0.png)" in images.notes[-1]


@pytest.mark.parametrize(
    "folders", [("train",), ("train", "tram"), ("test", "cats"), ("val", "test"), ("contest", "trainer", "latest")]
)
def test_folders_of_other_names_keep_the_split_by_names(tmp_path, folders):
    names = [f"{folder}/{number}.png" for folder in folders for number in range(60)]
    plain = split([name.replace("/", ":") for name in names])
    assert plain.notes == ("split by a hash of each file's name: one in 10 is for the test",)
    found = split(names)
    assert found.notes[0] == plain.notes[0]
    assert found.validation is None and found.outside == []
    assert sorted(found.train + found.test) == sorted(names)
    alike = [folder for folder in folders if folder in ("train", "val", "test")]
    assert len(found.notes) == 1 + bool(alike)
    assert all(f"{folder}/" in found.notes[1] for folder in alike)


def test_names_that_are_not_quite_those_of_splits_are_told(tmp_path):
    found = split(["set_train_HR/1.png", "set_valid_HR/2.png", "class/3.png"])
    assert "not taken for splits: set_train_HR/, set_valid_HR/;" in found.notes[1]


def test_the_outermost_folder_counts():
    found = split(["train/test/1.png", "train/val/2.png", "test/train/3.png"])
    assert sorted(found.train) == ["train/test/1.png", "train/val/2.png"]
    assert found.test == ["test/train/3.png"]


def test_the_split_by_names_is_the_same_for_ever():
    """Literal, so that no change of the code moves files of anybody's folder."""
    names = [f"a/{number}.png" for number in range(30)]
    found = split(names)
    assert found.test == ["a/29.png", "a/1.png", "a/21.png", "a/17.png", "a/11.png", "a/16.png"]
    assert found.train[:3] == ["a/19.png", "a/0.png", "a/20.png"]


def test_an_empty_part_is_refused_by_its_name(tmp_path):
    fill(tmp_path / "train", "train", 40)
    write_pictures(tmp_path / "val", 4)
    (tmp_path / "test").mkdir()
    for number in range(5):
        (tmp_path / "test" / f"{number}.png").write_text("no picture")
    images = loaded(tmp_path)  # no picture lies in test/
    assert "5 files left out: test/0.png (not a picture, or damaged)" in images.notes[-1]
    for number in range(5):
        picture = (tmp_path / "train" / f"{number}.png").read_bytes()
        (tmp_path / "test" / f"{number}.png").write_bytes(picture[: len(picture) // 2])
    with pytest.raises(
        UserError, match=r"40 for training, 4 for validation and 0 for the test.*5 cannot be used: test/0"
    ):
        loaded(tmp_path)
