"""One recipe trained again and measured, and what its numbers depend on beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evae.data.base import ImageSet
from evae.hardware import processor
from evae.recipe import Recipe

if TYPE_CHECKING:
    import torch

    from evae.evaluation import Evaluated
    from evae.training import Training


def repeat(recipe: Recipe, images: ImageSet, device: torch.device | str = "cpu") -> tuple[Training, Evaluated]:
    """Train `recipe` to its last epoch and measure it, as a trial of a study does. Raises Diverged as that does."""
    from evae.evaluation import evaluate
    from evae.metrics.features import load_features
    from evae.metrics.reference import references
    from evae.training import Training

    splits = {split: getattr(images, split) for split in ("validation", "test")}
    features, known = None, dict.fromkeys(splits)
    if images.kind != "points":
        features = load_features(recipe.evaluation.features, device)
    training = Training(recipe, images, device)
    while not training.finished:
        training.train_epoch()
    if features is not None:
        known = references(splits, images.train, features)
    return training, evaluate(training, features, known)


def conditions(recipe: Recipe, images: ImageSet, device: torch.device, threads: int) -> dict[str, str | int]:
    """What a training's numbers depend on beside its recipe, by the names of a trial's row."""
    from evae.macs import arithmetic

    return {
        "device": device.type,
        "threads": threads,
        "precision": arithmetic(recipe, images.image_size, images.channels, device),
        "processor": processor(device),
        "workers": 1,
    }
