"""Trials in small, by which the cost of a study and the room for its lanes are measured."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from evae.checkpoints import dump_training
from evae.cluster.worker import features_on
from evae.data.base import ImageSet
from evae.errors import Diverged
from evae.evaluation import evaluate
from evae.metrics.features import Features
from evae.metrics.reference import Reference, references
from evae.recipe import Recipe
from evae.training import Training

STEPS = 20
"""Of training that are timed, after as many that are not, or an epoch's where it has fewer."""
SPLITS = ("validation", "test")
HELD_OUT = 500
"""Images that an evaluation is timed on at most."""
KINDS = 3
"""Recipes that are tried: the first of each posterior, which controls are."""


@dataclass(frozen=True)
class Measured:
    """Of one trial: seconds of an epoch, the mean over all of them, and of its evaluation, and 10^6 bytes of its
    weights and of the state of its training."""

    epoch_s: float
    evaluate_s: float
    weights_mb: float
    state_mb: float


def tried(recipes: Sequence[Recipe]) -> list[Recipe]:
    """Those recipes that stand for all."""
    return list({recipe.posterior.family: recipe for recipe in reversed(recipes)}.values())[::-1][:KINDS]


def in_small(recipe: Recipe, images: ImageSet) -> tuple[Recipe, ImageSet]:
    """A trial of the recipe with a part of the images, and with its discriminator from the first step."""
    size = recipe.optimisation.batch_size
    few = min(len(images.train), max(STEPS * size, recipe.posterior.memory, 2))
    # Points cost next to nothing, and what is known of each of them has their order.
    most = HELD_OUT if images.kind == "images" else None
    held = {split: getattr(images, split)[:most] for split in SPLITS}
    judged = recipe.adversarial and recipe.adversarial.at_once()
    recipe = replace(recipe, evaluation=replace(recipe.evaluation, downstream=()), adversarial=judged)
    return recipe, replace(images, train=images.train[:few], labels=None, **held)


@dataclass(frozen=True)
class Small:
    """A trial in small on a device: what it is trained with, and what it is measured with."""

    recipe: Recipe
    images: ImageSet
    device: torch.device
    features: Features | None
    references: Mapping[str, Reference | None]

    def training(self) -> Training:
        return Training(self.recipe, self.images, self.device)

    def evaluate(self, training: Training) -> None:
        training.release()  # as a worker does before it evaluates
        evaluate(training, self.features, self.references)

    def evaluate_untrained(self) -> None:
        self.evaluate(self.training())


def small(recipe: Recipe, images: ImageSet, device: torch.device) -> Small:
    """A trial of the recipe in small."""
    recipe, some = in_small(recipe, images)
    features, known = None, dict.fromkeys(SPLITS)
    if images.kind == "images":
        features = features_on(recipe.evaluation.features, device)
        known = references({split: getattr(some, split) for split in SPLITS}, some.train, features, cache=None)
    return Small(recipe, some, device, features, known)


def measure(recipe: Recipe, images: ImageSet, device: torch.device) -> Measured:
    """What a trial of the recipe takes, from one in small."""
    one = small(recipe, images, device)
    some, training = one.images, one.training()
    weights = sum(p.nbytes for p in training.model.state_dict().values()) / 1e6
    try:
        epoch_s = _epoch_s(training, device) * len(images.train) / len(some.train)
        epoch_s += _seconds(training.validate, device) * len(images.validation) / len(some.validation)
        share = len(images.test) / len(some.test)
        state = len(dump_training(training)) / 1e6
        return Measured(epoch_s, _seconds(lambda: one.evaluate(training), device) * share, weights, state)
    except Diverged:
        return Measured(math.nan, math.nan, weights, math.nan)


def _epoch_s(training: Training, device: torch.device) -> float:
    """Seconds of an epoch, the mean over those at half the size and the others."""
    optimisation = training.recipe.optimisation
    training.train_epoch()  # not timed: it makes the optimiser's state
    seconds, half = 0.0, optimisation.half_size_epochs
    for number, count in ((1, half), (optimisation.epochs, optimisation.epochs - half)):
        if count:
            training.epoch = number - 1
            seconds += count * _seconds(training.train_epoch, device)
    return seconds / optimisation.epochs


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    began = time.perf_counter()
    work()
    if device.type != "cpu":
        getattr(torch, device.type).synchronize()
    return time.perf_counter() - began
