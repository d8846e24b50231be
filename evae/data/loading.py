"""From a recipe to the finished image set: read the source, cut the splits, bring the pixels into shape."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from evae.data.base import SOURCES, VALIDATION_IMAGES, DataRecipe, Images, ImageSet, Raw, Truth, content_digest
from evae.data.labels import UNLABELLED, Labels
from evae.data.names import shown
from evae.data.pixels import to_channels, to_size
from evae.data.room import fits
from evae.data.stream import Stream
from evae.errors import UserError
from evae.home import expanded

DEFAULT_ROOT = Path("data")
SPLITS = ("train", "validation", "test")


def load(recipe: DataRecipe, root: str | Path | None = None, stream: str = "auto") -> ImageSet:
    """The images a recipe asks for: the same ones, in the same order, on every machine.

    `root` is the folder in which data sets are looked for, and into which they are downloaded (default:
    ./data). Images of files stay there and are read again and again: with "auto" where they would take more than a
    quarter of the free memory, "always" or "never" (`evae.data.room`). They are the same, and so is their digest.

    Raises UserError where the data cannot be had, cannot be read, or are fewer than asked for, and where a source that
    has no files is always to be streamed.
    """
    source, where = SOURCES[recipe.name], DEFAULT_ROOT if root is None else Path(expanded(root))
    keep = fits(stream)
    if stream == "always" and not source.streams:
        raise UserError(f"the data source {recipe.name} has its images in memory alone: let stream be auto")
    raw = source.read(recipe, where, keep) if source.streams else source.read(recipe, where)
    _check(raw, recipe)
    cut = _cut(raw, recipe)
    size = recipe.image_size or raw.image_size
    channels = recipe.channels or raw.channels
    splits = []
    for pool, chosen in cut.values():
        split = getattr(raw, pool)
        if isinstance(split, Stream):
            splits.append(split.part(chosen))
            continue
        split = split[chosen]
        if raw.kind == "images":
            split = to_size(to_channels(split, channels), size, recipe.fit)
        split = np.ascontiguousarray(split)
        split.flags.writeable = False
        splits.append(split)
    name, digest = shown(recipe.source), content_digest(splits)
    truth = raw.truth and replace(raw.truth, **_held_out(raw.truth, cut))
    return ImageSet(*splits, name, digest, recipe.fit, raw.notes, _labels(raw, cut), raw.kind, truth)


def _held_out(truth: Truth, cut: dict[str, tuple[str, slice]]) -> dict[str, dict[str, np.ndarray]]:
    """What is true of the points that the splits have."""
    return {
        name: {split: getattr(truth, name)[split][cut[split][1]] for split in ("validation", "test")}
        for name in ("log_density", "latent_means")
    }


def _check(raw: Raw, recipe: DataRecipe) -> None:
    """Raise UserError where a source, which may be a plug-in's, does not hand over what `Raw` says."""
    if not isinstance(raw, Raw):
        raise UserError(f"the data source {recipe.name} returns {type(raw).__name__} instead of evae.data.Raw")
    if raw.kind != recipe.kind:
        raise UserError(f"the data source {recipe.name} is registered for {recipe.kind}, and returns {shown(raw.kind)}")
    for name in SPLITS:
        split = getattr(raw, name)
        if split is None or not len(split):
            continue
        first = np.asarray(split[:1])
        if raw.kind == "points":
            _check_points(recipe, name, np.asarray(split[:]))
            continue
        wanted = np.uint8 if raw.kind == "images" else np.float32
        if first.dtype != wanted or first.ndim != 4:
            raise UserError(
                f"the data source {recipe.name} has {name} {raw.kind} of {first.dtype} {first.shape[1:]}: they must be "
                f"{np.dtype(wanted)}, (channels, h, w)"
            )
    for name, labels in raw.labels.items():
        images = getattr(raw, name, None) if name in SPLITS else None
        if images is None or np.shape(labels) != (len(images),):
            has = "no such images" if images is None else f"{len(images)} images"
            raise UserError(
                f"the data source {recipe.name} has labels {np.shape(labels)} of {name}, and {has}: give one each"
            )
        given = np.asarray(labels)
        if given.dtype.kind not in "iu" or given.min(initial=0) < UNLABELLED:
            raise UserError(
                f"the data source {recipe.name} has labels of {name} that are no classes: give integers, 0 and above, "
                f"and {UNLABELLED} for an image without"
            )
        if raw.classes and (highest := given.max(initial=0)) >= len(raw.classes):
            known = f"names {len(raw.classes)} classes"
            raise UserError(f"the data source {recipe.name} {known}, and has images of class {highest} in {name}")


def _check_points(recipe: DataRecipe, name: str, points: np.ndarray) -> None:
    if points.dtype != np.float32 or points.ndim != 4 or points.shape[2:] != (1, 1) or not np.isfinite(points).all():
        raise UserError(
            f"the data source {recipe.name} has {name} points of {points.dtype} {points.shape[1:]}: they must be "
            "finite float32, (d, 1, 1)"
        )


def _cut(raw: Raw, recipe: DataRecipe) -> dict[str, tuple[str, slice]]:
    """Which images of which of the source's splits make each of ours: all disjoint, and the validation images the same
    whatever the cap."""
    own = raw.validation is not None
    pool: Images = raw.validation if own else raw.train
    there = len(pool)
    wanted = recipe.validation_images or min(VALIDATION_IMAGES, there if own else max(1, there // 8))
    # Where both come out of one pool, at least one image must remain to train on.
    if wanted > (there if own else there - 1):
        why = f" ({'; '.join(raw.reasons)})" if raw.reasons else ""
        raise UserError(
            f"validation_images is {wanted}, but {shown(recipe.source)} has only {there} {raw.kind} to take them from"
            f"{why}; give at most {there if own else there // 2}"
        )
    first = 0 if own else wanted
    last = None if recipe.train_images is None else first + recipe.train_images
    return {
        "train": ("train", slice(first, last)),
        "validation": ("validation" if own else "train", slice(wanted)),
        "test": ("test", slice(recipe.test_images)),
    }


def _labels(raw: Raw, cut: dict[str, tuple[str, slice]]) -> Labels | None:
    there = {
        name: np.asarray(raw.labels.get(name, np.full(len(getattr(raw, name)), UNLABELLED)), dtype=np.int64)
        for name, _ in cut.values()
    }
    splits = [there[pool][chosen] for pool, chosen in cut.values()]
    if len(np.unique(splits[0][splits[0] != UNLABELLED])) < 2:
        return None
    highest = max(int(labels.max(initial=UNLABELLED)) for labels in there.values())
    classes = raw.classes or tuple(map(str, range(highest + 1)))
    return Labels(*splits, classes, content_digest(splits))
