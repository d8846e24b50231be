"""What a study will cost on this machine, from some steps of training and an evaluation: time, disk and memory."""

import math
import os
import resource
import sys
from collections.abc import Sequence

import torch

from evae.cluster.demand import AUTO, Demand
from evae.data.base import ImageSet
from evae.recipe import Recipe
from evae.study.in_small import measure, tried
from evae.study.room import Room, find_room

PER_TRIAL_MB = 0.3
"""Rows and pictures of a trial, on average over the studies here."""

NOTHING = "nothing was trained for the study, and nothing written"


def forecast(
    demand: Demand, recipes: Sequence[Recipe], images: ImageSet, trials: int, keep: str, measured: int = 0
) -> str:
    """In words, what so many trials will cost, the seconds of which are the mean over some of the recipes; and as many
    that are not trained, but `measured` from kept weights.

    Trials beside each other share memory and caches, and other recipes of the space may take longer: the true cost is
    known once some have been trained.
    """
    device = torch.device(demand.device)
    if device.type == "cpu":
        torch.set_num_threads(demand.threads)
    found = [measure(recipe, images, device) for recipe in tried(recipes)]
    room = Room()
    if demand.may_share and (device.type == "cuda" or demand.lanes != AUTO):
        room = find_room(tried(recipes), images, device.type, demand.lanes)
    names = ("epoch_s", "evaluate_s", "weights_mb", "state_mb")
    means = (sum(getattr(one, name) for one in found) / len(found) for name in names)
    epoch_s, evaluate_s, weights_mb, state_mb = means
    epochs = recipes[0].optimisation.epochs
    trial_s = epochs * epoch_s + evaluate_s
    at_once = _at_once(demand, device) * room.lanes
    wall_s = (
        (math.ceil(trials / at_once) * trial_s + math.ceil(measured / at_once) * evaluate_s) * room.lanes / room.gain
    )
    busy_s = (trials * trial_s + measured * evaluate_s) / room.gain
    of_device = f"{busy_s * _units(demand, device) / 3600:.2g} {'core' if device.type == 'cpu' else 'GPU'}-hours"
    kept_mb = {"none": 0.0, "weights": weights_mb, "states": weights_mb + state_mb}[keep]
    disk = (trials + measured) * (PER_TRIAL_MB + kept_mb)
    states = f" ({_size(trials * state_mb)} of it states of trainings)" if keep == "states" else ""
    processes = at_once // room.lanes * demand.workers if device.type == "cpu" else 1
    where = ", on this machine and not on the cluster" if demand.address else ""
    return "\n".join(
        [
            f"dry run: about {trials} trials x (epochs: {epochs} x {epoch_s:.3g} s + evaluation: {evaluate_s:.3g} s), "
            f"measured on {device.type}{where}: {_duration(trial_s)} each"
            + (f"; and {measured} to be measured from kept weights" if measured else ""),
            f"about {_duration(wall_s)} with {at_once} at a time, beside some seconds to start; {of_device}",
            f"about {_size(disk)} of results{states}, "
            f"{processes * _resident_gb():.1f} GB of memory{_of_images(images)}",
            *([room.note] if room.note else []),
            NOTHING,
        ]
    )


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
