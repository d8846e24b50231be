"""Arrays as images: which is which, which axis is what, and what is refused instead of being guessed."""

from pathlib import Path

import numpy as np
import pytest
import torch
from small_sets import noise

from evae.data import DataRecipe, ImageSet, load
from evae.errors import UserError

SPLITS = ("train", "validation", "test")


def of(path: Path, behind: str = "", **given: object) -> ImageSet:
    return load(DataRecipe(source=f"{path.suffix[1:]}:{path}{behind}", **given))


def saved(path: Path, content: object) -> Path:
    if path.suffix == ".pt":
        torch.save(content, path)
    elif path.suffix == ".npy":
        np.save(path, content)
    else:
        np.savez(path, **content)
    return path


def pixels(images: ImageSet) -> set[bytes]:
    return {image.tobytes() for split in SPLITS for image in getattr(images, split)}


@pytest.mark.parametrize(
    "names",
    [
        ("x_train", "x_test", "y_train", "y_test"),
        ("train_images", "test_images", "train_labels", "test_labels"),
        ("train", "test", "train_targets", "test_targets"),
    ],
)
def test_names_say_splits_and_labels(names, tmp_path):
    arrays = (noise(40, 12, 12), noise(8, 12, 12, seed=1), np.arange(40) % 3, np.arange(8)[:, None] % 2)
    images = of(saved(tmp_path / "a.npz", dict(zip(names, arrays, strict=True))))
    assert (images.test.shape, len(images.train) + len(images.validation)) == ((8, 1, 12, 12), 40)
    assert images.labels.classes == ("0", "1", "2")
    for split, given, classes in (("train", arrays[0], arrays[2]), ("test", arrays[1], arrays[3][:, 0])):
        class_of = {image.tobytes(): label for image, label in zip(given, classes, strict=True)}
        assert [class_of[image.tobytes()] for image in getattr(images, split)] == getattr(images.labels, split).tolist()


def test_a_validation_of_its_own_is_kept(tmp_path):
    arrays = {name: noise(n, 8, 8, seed=n) for name, n in (("train_images", 30), ("val_images", 7), ("test_images", 5))}
    images = of(saved(tmp_path / "a.npz", arrays))
    assert [len(getattr(images, split)) for split in SPLITS] == [30, 7, 5]
    del arrays["test_images"]
    images = of(saved(tmp_path / "b.npz", arrays))
    assert [len(getattr(images, split)) for split in SPLITS] == [27, 7, 3]


@pytest.mark.parametrize(
    ("shape", "axes"), [((3, 12, 16), (0, 1, 2)), ((12, 16, 5), (2, 0, 1)), ((12, 16, 2), (2, 0, 1))]
)
def test_the_axis_of_channels_is_the_short_one(shape, axes, tmp_path):
    given = noise(40, *shape)
    images = of(saved(tmp_path / "a.npy", given))
    assert (images.image_size, images.channels) == ((12, 16), min(shape))
    assert pixels(images) == {np.ascontiguousarray(image.transpose(axes)).tobytes() for image in given}


def test_where_two_axes_could_be_the_channels_it_has_to_be_said(tmp_path):
    path = saved(tmp_path / "a.npy", noise(40, 9, 16, 12))
    with pytest.raises(UserError, match=r"uint8 \(40, 9, 16, 12\): which axis.* put ,layout=nchw behind"):
        of(path)
    assert of(path, ",layout=nchw").train.shape[1:] == (9, 16, 12)
    assert of(path, ",layout=nhwc").train.shape[1:] == (12, 9, 16)
    with pytest.raises(UserError, match="unknown layout 'whc'"):
        of(path, ",layout=whc")


def test_floats_from_0_to_1_are_256_levels(tmp_path):
    levels = noise(40, 8, 8)
    for dtype in (np.float16, np.float32, np.float64):
        images = of(saved(tmp_path / "a.npy", (levels / 255).astype(dtype)))
        assert pixels(images) == {level.tobytes() for level in levels}
    assert "floating-point numbers rounded to 256 levels" in images.notes


def test_tensors_in_any_form(tmp_path):
    levels, labels = torch.from_numpy(noise(40, 8, 8)), torch.arange(40) % 2
    wanted = of(saved(tmp_path / "one.pt", levels)).digest
    for content in ({"images": levels, "labels": labels}, (levels, labels)):
        images = of(saved(tmp_path / "a.pt", content))
        assert images.digest == wanted and images.labels.classes == ("0", "1")
    torch.save(levels, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert of(tmp_path / "old.pt").digest == wanted
    for tensor in ((levels / 255).bfloat16().requires_grad_(), (levels / 255).to(torch.float8_e4m3fn)):
        assert of(saved(tmp_path / "b.pt", tensor)).train.shape[1:] == (1, 8, 8)


def test_an_array_of_several_is_chosen_by_its_name_and_files_may_have_commas(tmp_path):
    given = {"a": noise(30, 8, 8), "b": noise(30, 8, 8, seed=1), "mine": np.arange(30) % 2}
    path = saved(tmp_path / "o~ne, two=2.npz", given)
    with pytest.raises(UserError, match=r"cannot be told from their names \(a, b\): put ,images=NAME behind"):
        of(path)
    images = of(path, ",images=b,labels=mine")
    assert pixels(images) == {image.tobytes() for image in given["b"]} and images.labels.classes == ("0", "1")
    with pytest.raises(UserError, match=r"unknown array of .* 'c'.*Known: a, b, mine"):
        of(path, ",images=c")
    with pytest.raises(UserError, match="says images twice"):
        of(path, ",images=a,images=b")


def test_labels_that_are_none_are_said_and_those_of_another_length_refused(tmp_path):
    images = of(saved(tmp_path / "a.npz", {"images": noise(30, 8, 8), "labels": np.eye(30)}))
    assert images.labels is None and any("no labels of images: labels is float64 (30, 30)" in n for n in images.notes)
    with pytest.raises(UserError, match="has 30 images in images and 29 labels in labels"):
        of(saved(tmp_path / "a.npz", {"images": noise(30, 8, 8), "labels": np.arange(29)}))


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.full((30, 8, 8), np.nan, np.float32), r"image \d+ of .* not finite: leave it out, or fill it in"),
        (np.full((30, 8, 8), 200.0), "from 200 to 200: .* divide by 255, or save it as uint8"),
        (np.linspace(-1, 1, 30 * 64).reshape(30, 8, 8), r"from -\d.* save \(x \+ 1\) / 2"),
        (np.full((30, 8, 8), -7.0), "scale it to that"),
        (np.ones((30, 8, 8), bool), r"is bool .* save \(255 \* x\).astype\(numpy.uint8\)"),
        (np.ones((30, 8, 8), np.int64), r"is int64 .* save x.astype\(numpy.uint8\), where"),
        (np.ones((30, 8, 8), np.uint16), r"is uint16 .* levels of 16 bits"),
        (np.ones((0, 8, 8), np.uint8), r"uint8 \(0, 8, 8\): images are \(n, h, w\)"),
        (np.ones((30, 64), np.uint8), r"has no array of images.* it has images uint8 \(30, 64\)"),
        (np.ones((30, 4, 4), np.uint8), "of 4 x 4 px are smaller than 8 px"),
        (np.ones((2, 8, 8), np.uint8), r"too few images \(2 in images\)"),
    ],
)
def test_what_are_no_images_is_refused_with_the_remedy(array, said, tmp_path):
    with pytest.raises(UserError, match=said):
        of(saved(tmp_path / "a.npy", array))


@pytest.mark.parametrize("ending", ["npz", "npy", "pt"])
@pytest.mark.parametrize("left", [0, 5, 1500])
def test_a_file_that_is_cut_off_is_refused_by_its_name(ending, left, tmp_path):
    content = {"images": noise(40, 8, 8)}
    path = saved(tmp_path / f"a.{ending}", content if ending == "npz" else torch.from_numpy(content["images"]).clone())
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(UserError, match=rf"a.{ending} is "):
        of(path)


def test_nothing_is_unpickled(tmp_path):
    objects = np.array([noise(8, 8), noise(9, 9)], dtype=object)
    for path in (saved(tmp_path / "a.npy", objects), saved(tmp_path / "a.npz", {"images": objects})):
        with pytest.raises(UserError, match="holds objects, which are never loaded: save an array of numbers"):
            of(path)
    with pytest.raises(UserError, match=r"holds more than tensors, .* never is: torch.save\(tensor\)"):
        of(saved(tmp_path / "a.pt", torch.nn.Linear(2, 2)))
    with pytest.raises(UserError, match="holds no tensor"):
        of(saved(tmp_path / "b.pt", {"a": 1}))


def test_another_kind_of_file_is_named(tmp_path):
    saved(tmp_path / "a.npy", noise(30, 8, 8))
    for source, said in (("npz:a.npy", "give npy:"), ("npz:b.npz", "there is no file"), ("pt:c", "there is no file")):
        kind, _, name = source.partition(":")
        with pytest.raises(UserError, match=said):
            load(DataRecipe(source=f"{kind}:{tmp_path / name}"))


def test_of_a_file_only_what_is_asked_for_is_read(tmp_path):
    path = saved(tmp_path / "a.npy", noise(400, 64, 64))
    few = of(path, train_images=5, validation_images=5, test_images=5)
    assert [len(getattr(few, split)) for split in SPLITS] == [5, 5, 5]
    assert set(few.test.shape[1:]) == {1, 64}
    # A smaller cap gives a subset.
    assert pixels(few) <= pixels(of(path, train_images=9, validation_images=5))


def test_any_size_can_be_had_of_them(tmp_path):
    path = saved(tmp_path / "a.npy", noise(30, 24, 16, 5))
    assert of(path, image_size=(8, 12)).train.shape[1:] == (5, 8, 12)
    assert of(path, image_size=32, fit="pad").train.shape[1:] == (5, 32, 32)
    with pytest.raises(UserError, match="images with 5 cannot be made 3: leave channels out"):
        of(path, channels=3)
