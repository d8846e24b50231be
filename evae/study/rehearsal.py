"""Can a device do all that a study needs? Nobody can say of Metal but by trying: operations are missing there, and
which ones changes with PyTorch and macOS."""

import json
from collections.abc import Iterable
from dataclasses import replace

import torch

from evae.data.base import ImageSet
from evae.errors import Diverged
from evae.evaluation import evaluate
from evae.metrics.features import load_features
from evae.metrics.reference import reference
from evae.recipe import Recipe
from evae.training import Training

BATCH, HELD_OUT = 8, 8


def rehearse(recipes: Iterable[Recipe], images: ImageSet, device: torch.device | str) -> str | None:
    """Why these recipes cannot be trained and measured on the device, in words; None where they can.

    Each is tried with an epoch on a few of the images. Recipes that differ in numbers only are alike.
    """
    kinds = {_kind(recipe): recipe for recipe in recipes}
    try:
        for recipe in kinds.values():
            _try(recipe, images, device)
    except (RuntimeError, TypeError) as error:  # an operation, or a type of number, that the device does not have
        return str(error).splitlines()[0]
    return None


def _try(recipe: Recipe, images: ImageSet, device: torch.device | str) -> None:
    train = images.train[: max(2 * BATCH, recipe.posterior.memory)]
    few = replace(images, train=train, validation=images.validation[:HELD_OUT], test=images.test[:HELD_OUT], truth=None)
    recipe = replace(recipe, optimisation=replace(recipe.optimisation, batch_size=BATCH))
    if recipe.adversarial is not None:
        recipe = replace(recipe, adversarial=recipe.adversarial.at_once())
    features, references = None, {"validation": None}
    if images.kind != "points":
        features = load_features(recipe.evaluation.features, device)
        references = {"validation": reference(few.validation, few.train, features, cache=None)}
    training = Training(recipe, few, device)
    try:
        training.train_epoch()
        training.validate()
        evaluate(training, features, references)
    except Diverged:
        pass  # which says nothing of the device


def _kind(recipe: Recipe) -> str:
    def without_numbers(value: object) -> object:
        if isinstance(value, dict):
            return {name: without_numbers(each) for name, each in value.items()}
        if isinstance(value, list | tuple):
            return [without_numbers(each) for each in value]
        return value if isinstance(value, str | bool | None) else 0

    return json.dumps(without_numbers(recipe.to_dict()), sort_keys=True)
