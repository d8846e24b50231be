"""How many lanes a process has room for: as many as its GPU's memory holds, and no more than make it train faster.

Both are measured, with trials in small on the machine at hand. Of memory a lane gets what training and evaluating one
trial has reserved at most, and all its images; what other programs have of the GPU is not free. Lanes are doubled as
long as all together then train at least `WORTH` times as fast; beside those that train there are some whose trials are
being measured.

The process that measures is the one that then trains in these lanes, a pack (`evae.cluster.pack`). What it reserved for
that it has given back by then; it keeps what is made but once in a process or a thread. Where it has room for one lane,
or fails, it is gone before trials begin.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import wait
from dataclasses import dataclass, replace
from threading import Barrier
from typing import Any

import ray
import torch
from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from evae.cluster.demand import AUTO, MOST_LANES, Demand
from evae.cluster.machine import Slots
from evae.cluster.pack import AT_ONCE, Threads, emptied
from evae.cluster.packs import First
from evae.data.base import ImageSet
from evae.hardware import accelerator
from evae.plugins import Plugin, load
from evae.recipe import Recipe
from evae.study.in_small import in_small, measure, small, tried
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
    """How many lanes, `gain` times as fast together as one alone; what is to be said of that; and the actor that knows
    the pack which has measured it, where there is one."""

    lanes: int = 1
    gain: float = 1.0
    note: str = ""
    packs: Any = None


def room(demand: Demand, slots: Slots, recipes: Sequence[Recipe], images: ImageSet, plugins: Sequence[Plugin]) -> Room:
    """The lanes of a study's processes. Where each has a GPU, they are measured on one of these, in a pack. Where there
    is but one lane, trials have processes of their own, and the pack's is gone, with all that it has had of the GPU."""
    on_gpus = demand.may_share and slots.cuda and slots.now()
    if (on_gpus or slots.lanes > 1) and (which := drawing(recipes, images)):
        return Room(note=f"one lane a process: {which} has dropout, which draws from random numbers that lanes share")
    if not on_gpus:
        return Room(slots.lanes)
    asked = plugins, [recipe.to_dict() for recipe in tried(recipes)], images, demand.lanes
    try:
        with First(MOST if demand.lanes == AUTO else demand.lanes, slots.cpus) as first:
            found = first.do(_find_room, *asked)
            return replace(found, packs=first.keep()) if found.lanes > 1 else found
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
    threads: Threads,
    plugins: Sequence[Plugin],
    recipes: Sequence[Mapping[str, Any]],
    images: ImageSet,
    lanes: int | str,
) -> Room:
    """In a pack's process, which knows no family of a plug-in before it has been imported."""
    load(plugins)
    known = [Recipe.from_dict(recipe) for recipe in recipes]
    device = torch.device(accelerator())
    found = find_room(known, images, device.type, lanes, threads)
    if found.lanes > 1:
        # Nobody waits for that: it is done while the trials' actors start.
        one = threads.measuring.submit(small, known[0], images, device)
        threads.warm(lambda: one.result().evaluate_untrained())
    return found


def find_room(
    recipes: Sequence[Recipe], images: ImageSet, device: str, lanes: int | str, threads: Threads | None = None
) -> Room:
    """The room on this device, for so many `lanes` or for as many as are worth it (AUTO), in these threads."""
    device, fit, free = torch.device(device), MOST_LANES, 0.0
    if threads is None:
        with Threads(torch.get_num_threads(), device.type) as own:
            return find_room(recipes, images, device.type, lanes, own)
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
        for recipe in recipes:
            threads.measure(measure, recipe, images, device)
        each = torch.cuda.max_memory_reserved(device) + (0 if images.streamed else images.nbytes)
        emptied()
        fit = max(1, int(USED * free // each))
    recipe, some = in_small(recipes[0], images)

    def rate(count: int) -> float:
        return images_per_s(recipe, some, device, count, threads)

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
    return Room(count, now / one if one else 1.0)


def with_gain(count: int, rate: Callable[[int], float]) -> Room:
    """This number of lanes, and what they gain, as far as that can be measured."""
    together, one = (rate(count), rate(1)) if count > 1 else (1.0, 1.0)
    return Room(count, together / one if one and together else 1.0)


def images_per_s(
    recipe: Recipe, images: ImageSet, device: torch.device, lanes: int, threads: Threads | None = None
) -> float:
    """Of so many lanes together; 0 where they find no memory, or diverge."""
    if threads is None:
        with Threads(torch.get_num_threads(), device.type) as own:
            return images_per_s(recipe, images, device, lanes, own)
    begin = Barrier(lanes)
    found = [thread.submit(_lane, recipe, images, device, begin) for thread in threads.lanes(lanes)]
    wait(found)
    # What failed in one of them is measured as what cannot be: its trials will say why.
    return 0.0 if any(each.exception() for each in found) else sum(each.result() for each in found)


def _lane(recipe: Recipe, images: ImageSet, device: torch.device, begin: Barrier) -> float:
    """One of them: images per second, once all have trained two epochs, in which steps are captured."""
    try:
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
