"""From a recipe to the finished image set: read the source, cut the splits, bring the pixels into shape."""

from pathlib import Path

import numpy as np

from evae.data.base import SOURCES, VALIDATION_IMAGES, DataRecipe, Images, ImageSet, Raw, content_digest
from evae.data.names import shown
from evae.data.pixels import to_channels, to_size
from evae.errors import UserError
from evae.home import expanded

DEFAULT_ROOT = Path("data")


def load(recipe: DataRecipe, root: str | Path | None = None) -> ImageSet:
    """The images a recipe asks for: the same ones, in the same order, on every machine.

    `root` is the folder in which data sets are looked for, and into which they are downloaded (default:
    ./data). Raises UserError where the data cannot be had, cannot be read, or are fewer than asked for.
    """
    raw = SOURCES[recipe.name].read(recipe, DEFAULT_ROOT if root is None else Path(expanded(root)))
    _check(raw, recipe)
    train, validation = _training_splits(raw, recipe)
    size = recipe.image_size or raw.image_size
    channels = recipe.channels or raw.channels
    splits = []
    for split in (train, validation, raw.test[: recipe.test_images]):
        split = np.ascontiguousarray(to_size(to_channels(split, channels), size, recipe.fit))
        split.flags.writeable = False
        splits.append(split)
    return ImageSet(*splits, shown(recipe.source), content_digest(splits), recipe.fit, raw.notes)


def _check(raw: Raw, recipe: DataRecipe) -> None:
    """Raise UserError where a source, which may be a plug-in's, does not hand over what `Raw` says."""
    if not isinstance(raw, Raw):
        raise UserError(f"the data source {recipe.name} returns {type(raw).__name__} instead of evae.data.Raw")
    for name in ("train", "validation", "test"):
        split = getattr(raw, name)
        if split is None or not len(split):
            continue
        first = np.asarray(split[:1])
        fits = first.ndim == 4 and first.shape[1] in (1, 3) and first.shape[2] == first.shape[3]
        if first.dtype != np.uint8 or not fits:
            raise UserError(
                f"the data source {recipe.name} has {name} images of {first.dtype} {first.shape[1:]}: they must be "
                "uint8, (1 or 3 channels, h, h)"
            )


def _training_splits(raw: Raw, recipe: DataRecipe) -> tuple[np.ndarray, np.ndarray]:
    """The training and validation images: disjoint, and the validation images the same whatever the cap."""
    own = raw.validation is not None
    pool: Images = raw.validation if own else raw.train
    there = len(pool)
    wanted = recipe.validation_images or min(VALIDATION_IMAGES, there if own else max(1, there // 8))
    # Where both come out of one pool, at least one image must remain to train on.
    if wanted > (there if own else there - 1):
        why = f" ({'; '.join(raw.reasons)})" if raw.reasons else ""
        raise UserError(
            f"validation_images is {wanted}, but {shown(recipe.source)} has only {there} images to take them from"
            f"{why}; give at most {there if own else there // 2}"
        )
    first = 0 if own else wanted
    last = None if recipe.train_images is None else first + recipe.train_images
    return raw.train[first:last], pool[:wanted]
