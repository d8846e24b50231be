"""What a study will cost on this machine, from some steps of training and an evaluation: time, disk and memory."""

import math
import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from evae.cluster.demand import Demand
from evae.data.base import ImageSet
from evae.errors import Diverged
from evae.evaluation import evaluate
from evae.hardware import accelerator
from evae.metrics.features import load_features
from evae.metrics.reference import references
from evae.recipe import Recipe
from evae.training import Training

STEPS = 20
"""Of training that are timed, after as many that are not, or an epoch's where it has fewer."""
HELD_OUT = 500
"""Images that an evaluation is timed on at most."""
KINDS = 3
"""Recipes that are tried: the first of each posterior, which controls are."""
PER_TRIAL_MB = 0.3
"""Rows and pictures of a trial, on average over the studies here."""


@dataclass(frozen=True)
class Measured:
    """Of one trial: seconds of an epoch, the mean over all of them, and of its evaluation, and 10^6 bytes of its
    weights."""

    epoch_s: float
    evaluate_s: float
    weights_mb: float


def forecast(demand: Demand, recipes: Sequence[Recipe], images: ImageSet, trials: int, keep_weights: bool) -> str:
    """In words, what so many trials will cost, the seconds of which are the mean over some of the recipes.

    Trials beside each other share memory and caches, and other recipes of the space may take longer: the true cost is
    known once some have been trained.
    """
    device = torch.device("cpu" if demand.gpus == 0 else accelerator())
    if device.type == "cpu":
        torch.set_num_threads(max(1, int(demand.cpus)))
    tried = list({recipe.posterior.family: recipe for recipe in reversed(recipes)}.values())[::-1][:KINDS]
    found = [measure(recipe, images, device) for recipe in tried]
    epoch_s, evaluate_s, weights_mb = (
        sum(getattr(one, name) for one in found) / len(found) for name in ("epoch_s", "evaluate_s", "weights_mb")
    )
    epochs = recipes[0].optimisation.epochs
    trial_s = epochs * epoch_s + evaluate_s
    at_once = _at_once(demand, device)
    wall_s = math.ceil(trials / at_once) * trial_s
    of_device = (
        f"{trials * trial_s * _units(demand, device) / 3600:.2g} {'core' if device.type == 'cpu' else 'GPU'}-hours"
    )
    disk = trials * (PER_TRIAL_MB + weights_mb * keep_weights)
    memory = at_once * demand.workers * _resident_gb() if device.type == "cpu" else _resident_gb()
    where = ", on this machine and not on the cluster" if demand.address else ""
    return "\n".join(
        [
            f"dry run: about {trials} trials x (epochs: {epochs} x {epoch_s:.3g} s + evaluation: {evaluate_s:.3g} s), "
            f"measured on {device.type}{where}: {_duration(trial_s)} each",
            f"about {_duration(wall_s)} with {at_once} at a time, beside some seconds to start; {of_device}",
            f"about {_size(disk)} of results, {memory:.1f} GB of memory{_of_images(images)}",
            "nothing was trained for the study, and nothing written",
        ]
    )


def measure(recipe: Recipe, images: ImageSet, device: torch.device) -> Measured:
    """What a trial of the recipe takes, from a part of the images; a discriminator takes part from the first step."""
    size = recipe.optimisation.batch_size
    few = min(len(images.train), max(STEPS * size, recipe.posterior.memory, 2))
    # Points cost next to nothing, and what is known of each of them has their order.
    most = HELD_OUT if images.kind == "images" else None
    held = {split: getattr(images, split)[:most] for split in ("validation", "test")}
    some = replace(images, train=images.train[:few], labels=None, **held)
    judged = recipe.adversarial and recipe.adversarial.at_once()
    recipe = replace(recipe, evaluation=replace(recipe.evaluation, downstream=()), adversarial=judged)
    training = Training(recipe, some, device)
    features, known = None, dict.fromkeys(held)
    if images.kind == "images":
        features = load_features(recipe.evaluation.features, device)
        known = references({split: getattr(some, split) for split in held}, some.train, features, cache=None)
    weights = sum(p.nbytes for p in training.model.state_dict().values()) / 1e6
    try:
        epoch_s = _epoch_s(training, device) * len(images.train) / few
        epoch_s += _seconds(training.validate, device) * len(images.validation) / len(some.validation)
        share = len(images.test) / len(some.test)
        return Measured(epoch_s, _seconds(lambda: evaluate(training, features, known), device) * share, weights)
    except Diverged:
        return Measured(math.nan, math.nan, weights)


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


def _at_once(demand: Demand, device: torch.device) -> int:
    """How many trials this machine has room for."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    places = int(cores // demand.cpus)
    if device.type == "cuda":
        places = min(places, int(torch.cuda.device_count() // (demand.gpus or 1.0)))
    found = max(1, places // demand.workers)
    return min(found, demand.trials_at_once or found)


def _units(demand: Demand, device: torch.device) -> float:
    """Cores, or GPUs, that a trial takes."""
    return demand.workers * (demand.cpus if device.type == "cpu" else demand.gpus or 1.0)


def _resident_gb() -> float:
    """The most memory that this process has had."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def _of_images(images: ImageSet) -> str:
    return "" if images.streamed else f", {_size(images.nbytes / 1e6)} of it the {images.kind} for all trials"


def _size(mb: float) -> str:
    return f"{mb / 1000:.2g} GB" if mb >= 1000 else f"{mb:.2g} MB" if mb < 10 else f"{mb:.0f} MB"


def _duration(seconds: float) -> str:
    if math.isnan(seconds):
        return "an unknown time (what was tried diverged)"
    if seconds < 60:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.2g} minutes" if seconds < 7200 else f"{seconds / 3600:.2g} hours"
