"""Points of curves whose density is known, and points of files."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from evae.data import DataRecipe, ImageSet, load
from evae.data.curves import SHAPES, Curve
from evae.errors import UserError

SPLITS = ("train", "validation", "test")
# Mean log likelihood of the model that made the points, on 600 of them (papers-more.md, 1.5).
PUBLISHED = {"arc": -0.066, "abs": -0.309, "moon": -1.516, "circle": -0.953, "figure-8": -0.880}
every_shape = pytest.mark.parametrize("shape", SHAPES)


def points(source: str, **recipe: object) -> ImageSet:
    return load(DataRecipe(source=f"points:{source}", **recipe))


def usual(shape: str) -> Curve:
    return Curve(shape, SHAPES[shape][1])


@every_shape
def test_the_density_integrates_to_one(shape):
    """By importance sampling: noise about points of the curve, with twice its variance."""
    curve, wide = usual(shape), Curve(shape, math.sqrt(2) * SHAPES[shape][1])
    x = wide.sample(1500, 5)[1]
    ratios = np.exp(curve.log_density(x) - wide.log_density(x))
    assert abs(ratios.mean() - 1) < 5 * ratios.std() / math.sqrt(len(x))


@every_shape
def test_latent_means_are_conditional_expectations(shape):
    """E[(z - E[z | x]) g(x)] is 0 for every g."""
    curve = usual(shape)
    z, x = curve.sample(1500, 6)
    means = curve.known_of(x)[1]
    for g in (np.ones(len(x)), x[:, 0], means):
        off = (z - means) * g
        assert abs(off.mean()) < 5 * off.std() / math.sqrt(len(x))


@pytest.mark.parametrize("shape", PUBLISHED)
def test_the_true_log_likelihoods_are_the_known_ones(shape):
    curve = usual(shape)
    found = curve.log_density(curve.sample(2000, 7)[1])
    # Theirs is of 600 points, about, and ours of 2,000.
    error = found.std() * math.sqrt(1 / 600 + 1 / len(found))
    assert abs(found.mean() - PUBLISHED[shape]) < 4 * error


@every_shape
def test_a_closed_curve_ends_where_it_begins(shape):
    begins, ends = usual(shape).at(np.array([-7.0, 7.0]))
    assert np.allclose(begins, ends, atol=1e-4) == (
        usual(shape).is_closed or shape == "abs"
    )  # which goes there and back


@every_shape
def test_splits_are_read_only_points_with_their_truth(shape):
    found = points(shape, train_images=40, validation_images=30, test_images=20)
    assert found.kind == "points" and (found.image_size, found.channels) == (1, usual(shape).at(np.zeros(1)).shape[1])
    for split, count in zip(SPLITS, (40, 30, 20), strict=True):
        array = getattr(found, split)
        assert array.dtype == np.float32 and array.shape == (count, found.channels, 1, 1)
        assert array.flags.c_contiguous and not array.flags.writeable
    for split in ("validation", "test"):
        given = getattr(found, split)[:, :, 0, 0]
        assert np.allclose(found.truth.log_density[split], found.truth.curve.log_density(given))
        assert len(found.truth.latent_means[split]) == len(given)


def test_two_loads_are_equal_and_described_for_the_manifest():
    first, again = points("moon"), points("moon")
    assert all(np.array_equal(getattr(first, split), getattr(again, split)) for split in SPLITS)
    told = json.loads(json.dumps(again.describe()))
    assert told == first.describe() and told["kind"] == "points"
    assert (told["n_train"], told["n_validation"], told["n_test"]) == (600, 500, 2000)
    assert not {row.tobytes() for row in first.train} & {row.tobytes() for row in first.test}


def test_smaller_caps_take_the_first_of_the_same_points():
    many, few = points("helix"), points("helix", train_images=200, test_images=50)
    assert np.array_equal(few.train, many.train[:200]) and np.array_equal(few.test, many.test[:50])
    assert np.array_equal(few.validation, many.validation)


def test_noise_and_seed_are_part_of_the_name():
    usual, other, again = points("moon"), points("moon,seed=3"), points("moon,noise=0.1,seed=3")
    assert len({each.digest for each in (usual, other, again)}) == 3
    assert again.truth.curve == Curve("moon", 0.1) and "0.1" in again.notes[0] and "seed 3" in again.notes[0]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"source": "points"}, "points:PATH"),
        ({"channels": 1}, "channels is of images"),
        ({"image_size": 32}, "image_size is of images"),
        ({"fit": "pad"}, "fit is of images"),
        ({"horizontal_flip": True}, "horizontal_flip is of images"),
    ],
)
def test_what_points_do_not_have_is_refused_at_once(given, said):
    with pytest.raises(UserError, match=said):
        DataRecipe(**({"source": "points:moon"} | given))


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("mooon", r"Did you mean 'moon'.*\.npy or \.csv"),
        ("moon,noise=", "noise of points must be a number"),
        ("moon,noise=nan", "at least 0.02"),
        ("moon,noise=0", "at least 0.02"),
        ("clusters,noise=0.1", "noise of clusters must be at least 0.13"),
        ("moon,seed=1.5", "a whole number"),
        ("moon,seed=-1", "0 or more"),
        ("moon,sed=1", "Did you mean 'seed'"),
        ("/nowhere/at/all.npy", "No such file"),
    ],
)
def test_a_name_with_a_mistake_names_the_remedy(source, said):
    with pytest.raises(UserError, match=said):
        points(source)


@pytest.fixture
def rows() -> np.ndarray:
    return np.random.default_rng(3).normal(size=(60, 3)).round(3)


@pytest.mark.parametrize("suffix", ["npy", "NPY", "csv"])
def test_a_file_becomes_three_splits_of_its_rows(tmp_path, rows, suffix):
    path = tmp_path / f"some, points.{suffix}"
    if suffix == "csv":
        path.write_text("a,b,c\n" + "\n".join(",".join(map(str, row)) for row in rows) + "\n\n")
    else:
        with open(path, "wb") as file:
            np.save(file, rows)
    found = points(str(path))
    there = np.concatenate([getattr(found, split) for split in SPLITS])[:, :, 0, 0]
    assert len(found.test) == 6 and len(found.validation) == 54 // 8 and found.truth is None
    assert sorted(map(tuple, there)) == sorted(map(tuple, rows.astype(np.float32)))


@pytest.mark.parametrize("separator", [";", "\t", ", "])
def test_other_separators_and_no_header(tmp_path, rows, separator):
    path = tmp_path / "points.csv"
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(separator.join(map(str, row)) for row in rows).encode())
    assert sum(len(getattr(points(str(path)), split)) for split in SPLITS) == 60


def test_points_of_one_number_and_of_fifty(tmp_path, rows):
    np.save(tmp_path / "one.npy", rows[:, 0])
    np.save(tmp_path / "fifty.npy", np.random.default_rng(1).normal(size=(30, 50)))
    assert points(str(tmp_path / "one.npy")).channels == 1
    assert points(str(tmp_path / "fifty.npy")).train.shape[1:] == (50, 1, 1)


def test_equal_points_are_all_on_one_side_of_the_test(tmp_path, rows):
    np.save(tmp_path / "copies.npy", np.concatenate([rows, rows, rows]))
    found = points(str(tmp_path / "copies.npy"))
    trained, tested = ({row.tobytes() for row in getattr(found, split)} for split in ("train", "test"))
    assert not trained & tested and len(found.test) == 18
    assert any("120 of 180 points are equal" in note for note in found.notes)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (np.full((40, 2), np.nan), "40 of the 40 points .* first is point 1"),
        (np.full((40, 2), 1e300), "not finite"),
        (np.ones((1, 2)), "1 distinct point"),
        (np.ones((500, 2)), "1 distinct point"),
        (np.zeros((20, 0)), "0 numbers each"),
        (np.zeros((0, 2)), "no points"),
        (np.zeros((20, 2000)), "transposed"),
        (np.zeros((20, 2, 2)), r"float64 \(20, 2, 2\): points are an array"),
        (np.zeros(20, dtype=complex), "real numbers"),
        (np.array([[{"a": 1}]] * 20, dtype=object), "objects, which are never loaded"),
        ("1,2\n3,four\n5,6\n", "row 2 of .* has 'four', which is no number"),
        ("x,y\n1,2\n3,4,5\n", "row 3 of .* has 3 numbers, and those before it 2"),
        ("1,2\n3,\n5,6\n", "1 of the 3 points .* missing"),
        ("x,y\n1,2\n3,\n", "1 of the 2 points .* first is point 2"),
        ("x,y\n", "no points"),
        ("", "no points"),
        ("x,2\n1,2\n", "row 1 of .* has 'x'"),
        ("\xff\xfe1\x00,\x002\x00", "no CSV file in UTF-8"),
        (b"\x93NUMPY broken", "no array of numbers"),
    ],
)
def test_files_that_hold_no_points_are_refused(tmp_path, content, said):
    path = tmp_path / ("points.csv" if isinstance(content, str) else "points.npy")
    if isinstance(content, np.ndarray):
        np.save(path, content, allow_pickle=True)
    else:
        path.write_bytes(content.encode("latin-1") if isinstance(content, str) else content)
    with pytest.raises(UserError, match=said):
        points(str(path))


def test_a_source_that_hands_over_another_kind_is_refused(monkeypatch):
    from evae.data.base import SOURCES

    entry = SOURCES.entries["points"]
    monkeypatch.setitem(SOURCES.entries, "points", replace(entry, value=replace(entry.value, kind="images")))
    with pytest.raises(UserError, match="registered for images, and returns points"):
        points("moon")
