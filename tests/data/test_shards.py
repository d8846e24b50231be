"""Shards of pictures: in the same order from the shards as from memory, and what is refused before any training."""

import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest
import webdataset
from small_sets import noise, write_pictures, write_shard, write_shards

from evae.data import DataRecipe, ImageSet, load
from evae.data.stream import PictureLost
from evae.errors import UserError

SPLITS = ("train", "validation", "test")


def shards(pattern: Path | str, stream: str = "auto", **given: object) -> ImageSet:
    return load(DataRecipe(source=f"shards:{pattern}", **{"validation_images": 5} | given), stream=stream)


@pytest.mark.parametrize("given", [{}, {"fit": "tiles", "image_size": 16}])
def test_streamed_they_are_what_they_are_in_memory(given, tmp_path):
    write_shards(tmp_path, 60)
    memory, stream = shards(tmp_path, "never", **given), shards(tmp_path, "always", **given)
    for split in SPLITS:
        assert np.array_equal(getattr(stream, split)[:], getattr(memory, split))
        assert np.array_equal(getattr(stream.labels, split), getattr(memory.labels, split))
    assert stream.describe() == memory.describe() and stream.labels.digest == memory.labels.digest
    assert memory.labels.classes == ("0", "1")


def test_patterns_name_the_same_shards(tmp_path):
    write_shards(tmp_path, 60, shards=11)
    digests = {shards(tmp_path / end).digest for end in ("", "*.tar", "part-{000..010}.tar", "part-*.tar")}
    assert len(digests) == 1
    with pytest.raises(UserError, match=r"2 of 13 shards are missing: .*part-011.tar"):
        shards(tmp_path / "part-{000..012}.tar")


def test_the_images_are_the_same_wherever_the_shards_lie(tmp_path):
    for folder in ("here", "there/below"):
        write_shards(tmp_path / folder, 60)
    here, there = shards(tmp_path / "here"), shards(tmp_path / "there" / "below" / "*.tar")
    assert here.describe() | {"source": ""} == there.describe() | {"source": ""}


def test_words_in_the_shards_names_say_the_splits(tmp_path):
    for seed, (stem, count) in enumerate({"faces-train": 30, "faces-val": 8, "faces_test": 6}.items()):
        write_shards(tmp_path, count, 2, stem, seed=seed)
    images = shards(tmp_path, validation_images=None)
    assert (len(images.train), len(images.validation), len(images.test)) == (30, 8, 6)


def test_a_picture_has_the_pixels_of_its_file(tmp_path):
    write_pictures(tmp_path / "files", 40)
    names = sorted((tmp_path / "files").rglob("*.png"))
    write_shard(tmp_path / "one.tar", {f"a/{path.name}": path.read_bytes() for path in names})
    of = {
        kind: load(DataRecipe(source=f"{kind}:{tmp_path / end}"))
        for kind, end in (("folder", "files"), ("shards", "one.tar"))
    }
    pixels = [{image.tobytes() for split in SPLITS for image in getattr(images, split)} for images in of.values()]
    assert pixels[0] == pixels[1] and len(pixels[0]) == 40


def test_shards_of_the_webdataset_library_have_its_pictures_and_classes(tmp_path):
    given = noise(40, 16, 16, 3)
    with webdataset.ShardWriter(str(tmp_path / "part-%06d.tar"), maxcount=15, verbose=0) as shards_of:
        for number, image in enumerate(given):
            shards_of.write({"__key__": f"{number:06d}", "png": image, "cls": number % 4, "json": {"seen": True}})
    images = shards(tmp_path, image_size=16)
    class_of = {image.transpose(2, 0, 1).tobytes(): str(i % 4) for i, image in enumerate(given)}
    found = [(image.tobytes(), label) for split in SPLITS for image, label in both(images, split)]
    assert len(found) == 40
    assert all(class_of[image] == images.labels.classes[label] for image, label in found)


def both(images: ImageSet, split: str) -> zip:
    return zip(getattr(images, split), getattr(images.labels, split), strict=True)


def test_classes_are_any_whole_numbers_however_large(tmp_path):
    write_pictures(tmp_path / "files", 40)
    content = {}
    for number, path in enumerate(sorted((tmp_path / "files").rglob("*.png"))):
        content |= {f"{number}.png": path.read_bytes(), f"{number}.cls": b"7" if number % 2 else b"9" * 20}
    write_shard(tmp_path / "one.tar", content)
    labels = shards(tmp_path / "one.tar").labels
    assert labels.classes == ("7", "9" * 20)
    assert {int(label) for split in SPLITS for label in getattr(labels, split)} == {0, 1}


def cut(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


@pytest.mark.parametrize("left", [0.5, 0.02, 1 - 10000 / 10240])
def test_a_shard_that_is_cut_off_is_refused_by_its_name(left, tmp_path):
    write_shards(tmp_path, 60)
    path = tmp_path / "part-001.tar"
    cut(path, int(left * path.stat().st_size))
    with pytest.raises(UserError, match=r"part-001.tar is cut off after [\d,]+ bytes: fetch it again"):
        shards(tmp_path)


def test_a_shard_that_is_cut_off_between_two_pictures_is_refused_too(tmp_path):
    write_shards(tmp_path, 60)
    path = tmp_path / "part-001.tar"
    content = path.read_bytes()
    cut(path, len(content.rstrip(b"\0")) // 512 * 512 + 512)
    with pytest.raises(UserError, match=r"part-001.tar is cut off"):
        shards(tmp_path)


def test_shards_without_pictures_compressed_or_missing_are_refused(tmp_path):
    write_shards(tmp_path, 60)
    write_shard(tmp_path / "part-009.tar", {"0001.txt": b"a caption", "0001.json": b"{}"})
    with pytest.raises(UserError, match=r"part-009.tar has no pictures in it, but .json, .txt: leave it out"):
        shards(tmp_path)
    (tmp_path / "part-009.tar").write_bytes(gzip.compress((tmp_path / "part-000.tar").read_bytes()))
    with pytest.raises(UserError, match=r"part-009.tar is no tar file, or a compressed one"):
        shards(tmp_path)
    for pattern, said in (("nowhere/*.tar", "names no shards"), ("nowhere.tar", "1 of 1 shards are missing")):
        with pytest.raises(UserError, match=said):
            shards(tmp_path / pattern)
    with pytest.raises(UserError, match="is no file: fetch the shards first"):
        shards("https://example.org/part-{000..003}.tar")


def test_a_shard_that_goes_or_is_cut_in_training_is_named(tmp_path):
    write_shards(tmp_path, 60)
    images = shards(tmp_path, "always")
    shutil.move(tmp_path / "part-000.tar", tmp_path / "moved")
    cut(tmp_path / "part-001.tar", 2000)
    with pytest.raises(PictureLost, match=r"part-00[01].tar/00\d\d.png can no longer be read"):
        images.train[:]
