"""Images from an `.npz` file: arrays `train` and `test`, and `validation` if there is one.

    python studies/kernel_sweep.py --plugin examples/arrays.py --data npz:my_images.npz

Each is uint8, (n, h, h), (n, h, h, channels) or (n, channels, h, h) with one or three channels. Arrays of integers
called `train_labels`, `test_labels` and `validation_labels` are the images' classes, where they are there.
"""

from pathlib import Path

import numpy as np

from evae.data import DataRecipe, Raw, data_source
from evae.errors import UserError

SPLITS = ("train", "validation", "test")


@data_source("npz", path=True)
def read(recipe: DataRecipe, root: Path) -> Raw:
    """The file's arrays, in the order of the file."""
    path = Path(recipe.path).expanduser()
    try:
        with np.load(path) as file:
            found = {name: channels_first(file[name], name) for name in SPLITS if name in file}
            labels = {name: file[f"{name}_labels"] for name in found if f"{name}_labels" in file}
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as an .npz file: {error}") from None
    if not {"train", "test"} <= found.keys():
        raise UserError(f"{path} needs the arrays train and test; it has {', '.join(found) or 'none of them'}")
    shape = found["train"].shape
    notes = (f"arrays of {path.name}",)
    return Raw(**found, image_size=shape[-1], channels=shape[1], notes=notes, labels=labels)


def channels_first(images: np.ndarray, name: str) -> np.ndarray:
    """As (n, channels, h, h)."""
    if images.ndim == 3:
        images = images[:, None]
    elif images.ndim == 4 and images.shape[1] not in (1, 3):
        images = images.transpose(0, 3, 1, 2)
    fits = images.ndim == 4 and images.shape[1] in (1, 3) and images.shape[2] == images.shape[3]
    if images.dtype != np.uint8 or not fits:
        raise UserError(f"{name} is {images.dtype} {images.shape}: give uint8 (n, h, h) or (n, h, h, 1 or 3)")
    return images
