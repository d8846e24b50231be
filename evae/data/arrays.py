"""`npz:FILE`, `npy:FILE` and `pt:FILE`: images of your own as one array or several."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from evae.data.array_files import read_arrays
from evae.data.array_layouts import Rows, layout_of
from evae.data.asked import asked
from evae.data.base import DataRecipe, Raw, data_source, shuffled
from evae.data.names import listed, shown
from evae.data.own_splits import split_of
from evae.errors import UserError, unknown
from evae.sizes import size_of

LABELS = frozenset(["y", "label", "labels", "target", "targets", "class", "classes"])
"""Words of which one is in the name of an array of labels, between underlines."""
KEYS = ("images", "labels", "layout")
TEST_EVERY, FEWEST = 10, 3


@data_source("npz", path=True)
@data_source("npy", path=True)
@data_source("pt", path=True)
def read(recipe: DataRecipe, root: Path) -> Raw:
    """The images of FILE, in the splits that the names of its arrays say (train_images, x_test, val, ...), else one in
    ten for the test, by a fixed permutation; labels are arrays of integers called labels, y_train and the like.

    Images are uint8, or floating-point numbers from 0 to 1, which are rounded to 256 levels. Behind FILE may stand
    ",images=NAME" for the array to take of several, ",labels=NAME" for its classes, and ",layout=nchw" or "nhwc" where
    the shape does not say which axis is the channels. A .pt file holds a tensor, a dict of them, or (images, labels).

    Raises UserError for what cannot be read so, and where it would have to be guessed.
    """
    path, said = asked(recipe.path, KEYS)
    arrays = read_arrays(path, recipe.name)
    named = _of_splits(arrays, said, path)
    layouts = {key: layout_of(arrays[key], said.get("layout"), _name(path, key)) for key in named.values()}
    if any(len(arrays[key]) < FEWEST for key in layouts):
        few = ", ".join(f"{len(arrays[key])} in {shown(key)}" for key in layouts)
        raise UserError(f"{shown(path)} has too few images ({few}): give a few dozen at least")
    if len(shapes := {layout.shape for layout in layouts.values()}) > 1:
        sizes = ", ".join(f"{key} {' x '.join(map(str, layout.shape))}" for key, layout in layouts.items())
        raise UserError(f"the arrays of {shown(path)} hold different images ({sizes}): make them alike")
    labels, notes = _labels(arrays, list(named.values()), said, path)
    notes.insert(
        0, f"arrays of {shown(Path(path).name)}: {', '.join(f'{split} {key}' for split, key in named.items())}"
    )
    if any(arrays[key].dtype != np.uint8 for key in layouts):
        notes.append("floating-point numbers rounded to 256 levels")
    places = {split: (key, shuffled(len(arrays[key]))) for split, key in named.items()}
    if "test" not in places:
        key, order = places["train"]
        first = max(1, len(order) // TEST_EVERY)
        places |= {"train": (key, order[first:]), "test": (key, order[:first])}
        notes.append(f"test: one in {TEST_EVERY} of the training images, by a fixed permutation")
    channels, height, width = shapes.pop()
    return Raw(
        **{split: Rows(arrays[key], layouts[key], order, _name(path, key)) for split, (key, order) in places.items()},
        image_size=size_of(height, width),
        channels=channels,
        notes=tuple(notes),
        labels={split: labels[key][order] for split, (key, order) in places.items() if key in labels},
    )


def _name(path: str, key: str) -> str:
    return f"the array {shown(key)} of {shown(path)}"


def _of_splits(arrays: Mapping[str, np.ndarray], said: Mapping[str, str], path: str) -> dict[str, str]:
    """The name of each split's array of images. Raises UserError where there is none, or no telling which."""
    if key := said.get("images"):
        if key not in arrays:
            raise unknown(f"array of {shown(path)}", shown(key), arrays)
        return {"train": key}
    images = [key for key, array in arrays.items() if array.ndim > 2 and not _is_labels(key)]
    has = ", ".join(f"{shown(key)} {array.dtype} {array.shape}" for key, array in arrays.items()) or "nothing"
    if not images:
        raise UserError(f"{shown(path)} has no array of images, (n, h, w) or with channels; it has {has}")
    named = {split_of(key): key for key in images}
    if len(images) == 1:
        return {"train": images[0]}
    if len(named) < len(images) or "train" not in named or None in named:
        raise UserError(
            f"which arrays of {shown(path)} are for what cannot be told from their names ({listed(images)}): put "
            ",images=NAME behind the file, or call them train_images, validation_images and test_images"
        )
    return {split: key for split, key in named.items() if split is not None}


def _labels(
    arrays: Mapping[str, np.ndarray], images: list[str], said: Mapping[str, str], path: str
) -> tuple[dict[str, np.ndarray], list[str]]:
    """The labels of each array of images that has some, int64 (n,), and why others have none."""
    if (key := said.get("labels")) and key not in arrays:
        raise unknown(f"array of {shown(path)}", shown(key), arrays)
    if key and len(images) > 1:
        raise UserError(f"labels={shown(key)} are of one array: put ,images=NAME behind {shown(path)} too")
    found, notes = {}, []
    for mine in images:
        alike = [other for other in arrays if _is_labels(other) and (split_of(other) == split_of(mine))]
        for other in [key] if key else alike[:1] if len(alike) == 1 else []:
            given = arrays[other].squeeze(1) if arrays[other].shape[1:] == (1,) else arrays[other]
            if given.ndim != 1 or given.dtype.kind not in "iu":
                notes.append(
                    f"no labels of {shown(mine)}: {shown(other)} is {given.dtype} {given.shape}, not integers (n,)"
                )
                continue
            if len(given) != (count := len(arrays[mine])):
                raise UserError(
                    f"{shown(path)} has {count:,} images in {shown(mine)} and {len(given):,} labels in {shown(other)}: "
                    "give one for each, or leave the labels out of the file"
                )
            found[mine] = given.astype(np.int64)
    return found, notes


def _is_labels(key: str) -> bool:
    return not LABELS.isdisjoint(key.lower().replace("-", "_").split("_"))
