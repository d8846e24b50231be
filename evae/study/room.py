"""How many lanes a process has room for: as many as its GPU's memory holds, and no more than make it train faster.

Both are measured, with trials in small on the machine at hand. Of memory a lane gets what training and evaluating one
trial has reserved at most, and all its images; what other programs have of the GPU is not free. Lanes are doubled as
long as all together then train at least `WORTH` times as fast; beside those that train there are some whose trials are
being measured.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier
from typing import Any

import ray
import torch
from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from evae.cluster.demand import AUTO, MOST_LANES, Demand
from evae.cluster.machine import Slots
from evae.cluster.pack import AT_ONCE, threads_that_train
from evae.data.base import ImageSet
from evae.hardware import accelerator
from evae.plugins import Plugin, load
from evae.recipe import Recipe
from evae.study.in_small import in_small, measure, tried
from evae.training import Training

WORTH = 1.1
MOST = 16
"""Lanes that are chosen by themselves at most."""
USED = 0.9
"""Of the memory that is free."""
TIMED_S = 0.5
"""That lanes train to be timed, at least."""


@dataclass(frozen=True)
class Room:
    """How many lanes, `gain` times as fast together as one alone; and what is to be said of that."""

    lanes: int = 1
    gain: float = 1.0
    note: str = ""


def room(demand: Demand, slots: Slots, recipes: Sequence[Recipe], images: ImageSet, plugins: Sequence[Plugin]) -> Room:
    """The lanes of a study's processes. Where each has a GPU, they are measured on one of these, as another process's
    work."""
    on_gpus = demand.may_share and slots.cuda and slots.now()
    if (on_gpus or slots.lanes > 1) and (which := drawing(recipes, images)):
        return Room(note=f"one lane a process: {which} has dropout, which draws from random numbers that lanes share")
    if not on_gpus:
        return Room(slots.lanes)
    there = ray.remote(num_cpus=slots.cpus, num_gpus=1, max_calls=1, max_retries=0)(_find_room)
    try:
        return ray.get(there.remote(plugins, [recipe.to_dict() for recipe in tried(recipes)], images, demand.lanes))
    except ray.exceptions.RayError as error:
        why = str(error).strip().rpartition("\n")[2]
        return Room(note=f"one lane a GPU: how many have room could not be measured ({why})")


def drawing(recipes: Sequence[Recipe], images: ImageSet) -> str | None:
    """The first family of networks that draws from torch's global generator in training. A neighbour that builds its
    networks, or records its step, would meet that."""
    shape = images.image_size, images.channels
    with torch.device("meta"):
        for network, recipe in {recipe.network: recipe for recipe in recipes}.items():
            if any(map(_drops, network.build(*shape, recipe.latent, recipe.posterior.heads))):
                return network.family
        for discriminator in {recipe.adversarial.discriminator for recipe in recipes if recipe.adversarial}:
            if _drops(discriminator.build(*shape)):
                return discriminator.family
    return None


def _drops(module: nn.Module) -> bool:
    return any(isinstance(part, _DropoutNd) and part.p > 0 for part in module.modules())


def _find_room(
    plugins: Sequence[Plugin], recipes: Sequence[Mapping[str, Any]], images: ImageSet, lanes: int | str
) -> Room:
    """In a process of Ray's, which knows no family of a plug-in before it has been imported."""
    load(plugins)
    threads_that_train()
    return find_room([Recipe.from_dict(recipe) for recipe in recipes], images, accelerator(), lanes)


def find_room(recipes: Sequence[Recipe], images: ImageSet, device: str, lanes: int | str) -> Room:
    """The room on this device, for so many `lanes` or for as many as are worth it (AUTO)."""
    device, fit, free = torch.device(device), MOST_LANES, 0.0
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
        for recipe in recipes:
            measure(recipe, images, device)
        each = torch.cuda.max_memory_reserved(device) + (0 if images.streamed else images.nbytes)
        torch.cuda.empty_cache()
        fit = max(1, int(USED * free // each))
    recipe, some = in_small(recipes[0], images)

    def rate(count: int) -> float:
        return images_per_s(recipe, some, device, count)

    most = fit if lanes == AUTO else min(lanes, fit)
    training = worth(min(MOST, fit), rate) if lanes == AUTO else with_gain(most, rate)
    # While some are measured others train.
    count = min(MOST, most, training.lanes + AT_ONCE) if lanes == AUTO else most
    if lanes != AUTO and count < lanes:
        said = f"{count} of the {lanes} lanes have room in the {free / 2**30:.1f} GiB of memory that are free"
    else:
        some = "which together" if count == training.lanes else f"{training.lanes} of which"
        faster = f", {some} train {training.gain:.1f} times as fast as one" if training.lanes > 1 else ""
        said = f"{count} lane{'' if count == 1 else 's'} a process{faster}"
    return Room(count, training.gain, said)


def worth(most: int, rate: Callable[[int], float]) -> Room:
    """As many lanes as are worth it, at most `most`, by the images per second of a number of them."""
    count, one = 1, rate(1) if most > 1 else 1.0
    now = one
    while 2 * count <= most and (more := rate(2 * count)) > WORTH * now:
        count, now = 2 * count, more
    return Room(count, now / one)


def with_gain(count: int, rate: Callable[[int], float]) -> Room:
    """This number of lanes, and what they gain, as far as that can be measured."""
    together, one = (rate(count), rate(1)) if count > 1 else (1.0, 1.0)
    return Room(count, together / one if one and together else 1.0)


def images_per_s(recipe: Recipe, images: ImageSet, device: torch.device, lanes: int) -> float:
    """Of so many lanes together; 0 where they find no memory, or diverge."""
    begin = Barrier(lanes)
    with ThreadPoolExecutor(lanes) as threads:
        found = [threads.submit(_lane, recipe, images, device, begin) for _ in range(lanes)]
    # What failed in one of them is measured as what cannot be: its trials will say why.
    return 0.0 if any(each.exception() for each in found) else sum(each.result() for each in found)


def _lane(recipe: Recipe, images: ImageSet, device: torch.device, begin: Barrier) -> float:
    """One of them: images per second, once all have trained two epochs, in which steps are captured."""
    try:
        if device.type == "cuda":
            torch.cuda.set_stream(torch.cuda.Stream(device))
        training = Training(recipe, images, device)
        for _ in range(2):
            training.train_epoch()
        begin.wait()
        clock, epochs, seconds = time.perf_counter(), 0, 0.0
        while seconds < TIMED_S:
            training.train_epoch()
            epochs, seconds = epochs + 1, time.perf_counter() - clock
        training.release()
        return epochs * len(images.train) / seconds
    except Exception:
        begin.abort()
        raise
