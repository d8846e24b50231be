"""Data sets of the library datasets, from folders on disk, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_sets import noise

from evae.data import DataRecipe, ImageSet, load
from evae.errors import UserError

datasets = pytest.importorskip("datasets", reason="needs datasets: pip install 'evae[hf]'")
SPLITS = ("train", "validation", "test")
CLASSES = datasets.ClassLabel(names=["cat", "dog"])


def of(folder: Path, behind: str = "", stream: str = "auto", **given: object) -> ImageSet:
    return load(DataRecipe(source=f"hf:{folder}{behind}", **given), stream=stream)


def table(n: int, seed: int = 0, **columns: tuple[list, object]) -> "datasets.Dataset":
    """A column "img" of PNG files of 24 x 16 px, and others."""
    content = {name: values for name, (values, _) in columns.items()}
    features = {name: feature for name, (_, feature) in columns.items()}
    pictures = [Image.fromarray(image) for image in noise(n, 16, 24, 3, seed=seed)]
    return datasets.Dataset.from_dict(
        {"img": pictures} | content, features=datasets.Features({"img": datasets.Image()} | features)
    )


def test_splits_labels_and_pixels_are_those_of_the_data_set(tmp_path):
    label = lambda n: ([i % 2 for i in range(n)], CLASSES)  # noqa: E731
    given = datasets.DatasetDict({"train": table(30, label=label(30)), "test": table(8, 1, label=label(8))})
    given.save_to_disk(tmp_path / "a~b, c")
    images = of(tmp_path / "a~b, c", image_size=(16, 24), validation_images=4)
    assert [len(getattr(images, split)) for split in SPLITS] == [26, 4, 8]
    assert images.labels.classes == ("cat", "dog") and images.image_size == (16, 24)
    class_of = {image.transpose(2, 0, 1).tobytes(): i % 2 for i, image in enumerate(noise(8, 16, 24, 3, seed=1))}
    assert [class_of[image.tobytes()] for image in images.test] == images.labels.test.tolist()
    assert any(note.startswith("the column img, fingerprint ") for note in images.notes)


def test_streamed_they_are_what_they_are_in_memory(tmp_path):
    table(40).save_to_disk(tmp_path)
    memory, stream = of(tmp_path, stream="never"), of(tmp_path, stream="always")
    assert stream.streamed and stream.describe() == memory.describe()
    assert np.array_equal(stream.train[:], memory.train) and len(memory.test) + len(memory.train) > 30


def test_a_folder_of_parquet_is_read_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "set").mkdir()
    table(20, age=([3, 4] * 10, datasets.Value("int64"))).to_parquet(tmp_path / "set" / "train-00000.parquet")
    images = of(tmp_path / "set", ",label=age", image_size=16)
    assert images.labels.classes == ("3", "4") and any("revision" in note for note in images.notes)
    assert of(tmp_path / "set", image_size=16).labels is None


def test_columns_have_to_be_named_where_there_are_several(tmp_path):
    second = [Image.fromarray(image) for image in noise(60, 16, 24, 3, seed=5)]
    given = table(60, mask=(second, datasets.Image()), a=([0, 1] * 30, CLASSES), b=([1, 0] * 30, CLASSES))
    given.save_to_disk(tmp_path)
    with pytest.raises(UserError, match=r"has 2 columns of images: put ,image=COLUMN behind the name, .* img, mask"):
        of(tmp_path)
    images = of(tmp_path, ",image=mask")
    assert images.labels is None and any("no labels: a, b could be" in note for note in images.notes)
    assert of(tmp_path, ",label=b,image=mask").labels.classes == ("cat", "dog")
    for behind, said in ((",image=a", "column of images in .* 'a'"), (",label=img", "column of labels in .* 'img'")):
        with pytest.raises(UserError, match=said):
            of(tmp_path, behind + ("" if "image" in behind else ",image=img"))


def test_a_data_set_without_images_and_a_damaged_one_are_refused(tmp_path):
    datasets.Dataset.from_dict({"text": ["a", "b"]}).save_to_disk(tmp_path / "text")
    with pytest.raises(UserError, match="has no columns of images, but text: cast one"):
        of(tmp_path / "text")
    table(20).save_to_disk(tmp_path / "cut")
    (arrow,) = (tmp_path / "cut").glob("*.arrow")
    arrow.write_bytes(arrow.read_bytes()[:900])
    with pytest.raises(UserError, match=r"cut cannot be had by the library datasets \("):
        of(tmp_path / "cut")


@pytest.mark.parametrize("name", ["~/nothing-here", "/nothing/here", "a b/c", "a/b/c", ""])
def test_a_folder_that_is_not_there_is_not_looked_for_on_the_hub(name):
    with pytest.raises(UserError, match=r"there is no folder|no home folder|needs a path"):
        load(DataRecipe(source=f"hf:{name}"))


def test_a_row_without_a_picture_and_a_damaged_one_are_left_out_and_named(tmp_path):
    pictures = [{"bytes": b"no picture", "path": None}, None]
    pictures += [{"bytes": None, "path": str(tmp_path / f"{i}.png")} for i in range(60)]
    for i in range(60):
        Image.fromarray(noise(16, 16, seed=i)).save(tmp_path / f"{i}.png")
    features = datasets.Features({"image": datasets.Image(decode=False)})
    datasets.Dataset.from_dict({"image": pictures}, features=features).save_to_disk(tmp_path / "set")
    images = of(tmp_path / "set")
    (note,) = (note for note in images.notes if "left out" in note)
    assert "2 files left out" in note and "rows/00000001" in note and images.channels == 1
