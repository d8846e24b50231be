"""Images made by a function: discs of any size and place, in five channels that see more and more of each.

    python studies/kernel_sweep.py --plugin examples/discs.py --data discs --image-size 48 64

Data that are in no file, or in one that only your code reads: return arrays uint8 (n, channels, height, width).
"""

from pathlib import Path

import numpy as np

from evae.data import DataRecipe, Raw, data_source
from evae.sizes import sides

CHANNELS = 5
IMAGES = {"train": 2000, "test": 200}


@data_source("discs")
def read(recipe: DataRecipe, root: Path) -> Raw:
    """The same discs for the same size; the label is whether a disc is a large one."""
    size = recipe.image_size or 32
    random = np.random.default_rng(0)
    images, labels = {}, {}
    for split, count in IMAGES.items():
        radius = random.uniform(0.1, 0.4, count)
        images[split] = discs(radius, random.uniform(0.2, 0.8, (2, count)), sides(size))
        labels[split] = (radius > 0.25).astype(np.int64)
    notes = ("discs at random places; made by a function",)
    return Raw(**images, image_size=size, channels=CHANNELS, notes=notes, labels=labels, classes=("small", "large"))


def discs(radius: np.ndarray, middle: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """uint8 (n, CHANNELS, h, w) of radii (n,) and middles (2, n) in parts of the shorter side and of both."""
    rows, columns = np.indices(shape)[:, None]
    y, x = middle[:, :, None, None] * np.reshape(shape, (2, 1, 1, 1))
    distance = np.hypot(rows - y, columns - x)[:, None] / min(shape)
    edge = 0.02 * (1 + np.arange(CHANNELS))[:, None, None]
    return np.round(255 / (1 + np.exp((distance - radius[:, None, None, None]) / edge))).astype(np.uint8)
