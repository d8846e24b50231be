"""`photos`: patches of the two photos that scikit-learn ships. RGB images that need no download."""

from pathlib import Path

import numpy as np

from evae.data.base import DataRecipe, Raw, data_source, shuffled
from evae.errors import UserError
from evae.sizes import ImageSize, in_px, sides

STRIDE_PX = 8
# Columns of both photos (427 x 640 px) that belong to each split: regions, as neighbouring patches overlap.
REGIONS_PX = {"train": (0, 384), "validation": (384, 512), "test": (512, 640)}
LARGEST_PX = 128


@data_source("photos")
def read(recipe: DataRecipe, root: Path) -> Raw:
    """Patches on a grid of 8 px; those of one split overlap, those of different splits share no pixel.

    At 32 px: 4,500 training, 1,300 validation (500 are taken where nothing is said) and 1,300 test patches. Raises
    UserError for patches larger than 128 px.
    """
    from sklearn.datasets import load_sample_images

    size = recipe.image_size or 32
    if max(sides(size)) > LARGEST_PX:
        raise UserError(f"photos has patches of at most {LARGEST_PX} px, asked for {in_px(size)}")
    photos = load_sample_images().images
    splits = {
        name: _patches([photo[:, first:last] for photo in photos], size) for name, (first, last) in REGIONS_PX.items()
    }
    notes = (
        "patches of scikit-learn's sample photos china.jpg and flower.jpg; "
        "columns 0-383 train, 384-511 validation, 512-639 test",
        f"patches of one split overlap (one every {STRIDE_PX} px): fewer independent ones than their number",
    )
    return Raw(**splits, image_size=size, channels=3, notes=notes)


def _patches(regions: list[np.ndarray], size: ImageSize) -> np.ndarray:
    """All patches of the regions, each (h, w, 3), as (n, 3, h, w) in a fixed random order."""
    windows = [np.lib.stride_tricks.sliding_window_view(region, sides(size), (0, 1)) for region in regions]
    patches = np.concatenate([w[::STRIDE_PX, ::STRIDE_PX].reshape(-1, 3, *sides(size)) for w in windows])
    return patches[shuffled(len(patches))]
