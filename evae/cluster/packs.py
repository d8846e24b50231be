"""Where a study's packs are, and how Tune's actor of a trial comes by a lane of one.

With lanes, the actor of a trial is a process that trains nothing: it keeps the trial's rows, and hands the work to a
lane (`evae.cluster.pack`) on its own machine. It imports no torch, and takes a share of the pack's cores and GPU, so
that Ray counts lanes as it counts trials. All packs belong to one actor of the driver's, and end with it.

Who asks first for a lane of a GPU has its pack started, unless there is one already: the process that has measured for
the study how many lanes have room stays, and is the first pack (`First`). A pack holds nothing in Ray's accounts;
as long as no trial's actor does, a place holds the cores and the GPU for it.
"""

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, Self

import numpy as np
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from evae.cluster.losses import DIED, PackLost
from evae.cluster.pack import VISIBLE, Pack, lives
from evae.cluster.setting import Setting

TRIES = 3
"""So many packs in a row may die before one of them has given a lane."""
LOOK_EVERY_S = 0.05
"""Whether a process that was ended is gone."""


def shared(setting: Setting) -> Setting:
    """What a trial's actor needs of the setting to have its trials trained in lanes. Called by the driver; the setting
    may know of packs already."""
    packs = setting.packs or none_yet()
    whole = [ray.put(replace(setting, packs=None))]
    none = np.empty((0, *setting.images.train.shape[1:]), np.uint8)
    images = replace(setting.images, train=none, validation=none, test=none, labels=None, truth=None)
    return replace(setting, images=images, references={}, packs=(packs, whole))


def none_yet() -> Any:
    """The actor that will know the packs of a study. Called by the driver."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(num_cpus=0, scheduling_strategy=here, max_restarts=-1, max_task_retries=-1)(Packs).remote()


class Packs:
    """The packs of a study, by the machine and GPU that they are on. An actor; where it dies, its packs do, and Ray
    starts it again without any."""

    def __init__(self) -> None:
        self.packs: dict[int, tuple[tuple[str, str | None], Any]] = {}
        self.started = 0

    def start(self, node: str, gpu: str | None, lanes: int, cores: int) -> Any:
        """Another pack there, for at most so many lanes, each of which computes with so many cores."""
        there = NodeAffinitySchedulingStrategy(node, soft=False)
        # For who waits for a lane's work, for who takes one, and for work whose trial has lost its own process.
        options = {"num_cpus": 0, "scheduling_strategy": there, "max_concurrency": 2 * lanes + 4}
        pack = ray.remote(**options)(Pack).remote(cores, gpu)
        self.packs[self.started] = (node, gpu), pack
        self.started += 1
        return pack

    def at(self, node: str, gpu: str | None, known: int, lanes: int, cores: int) -> Mapping[int, Any]:
        """The packs there by number. Where there are no more than the `known` ones, whose lanes are taken, another."""
        while len(found := {n: pack for n, (place, pack) in self.packs.items() if place == (node, gpu)}) <= known:
            self.start(node, gpu, lanes, cores)
        return found

    def forget(self, number: int) -> None:
        """This pack has died."""
        self.packs.pop(number, None)


class Place:
    """Cores and a GPU that Ray counts as taken for as long as this actor lives, which does nothing with them."""

    def where(self) -> tuple[str, str | None]:
        """The node, and the GPU."""
        return ray.get_runtime_context().get_node_id(), given_gpu()

    def await_end(self, process: int) -> None:
        """Wait for a process of this machine to be gone, and with it its memory on the GPU."""
        while lives(process):
            time.sleep(LOOK_EVERY_S)


class First:
    """The first pack of a study, on any GPU of its machines: it does some work, on which the setting of the trials
    depends, before it is given that. Inside of `with`, by the driver. Unless it is kept, its process is gone
    afterwards. What fails is raised as Ray does."""

    def __init__(self, lanes: int, cores: float):
        """For at most so many lanes of a process with so many cores."""
        self.lanes, self.cores = lanes, cores
        self.pack, self.process, self.kept = None, None, False

    def __enter__(self) -> Self:
        self.packs, self.place = none_yet(), ray.remote(num_cpus=self.cores, num_gpus=1)(Place).remote()
        return self

    def do(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """What the work returns, which is given the threads of the pack (`evae.cluster.pack`) and the arguments."""
        node, gpu = ray.get(self.place.where.remote())
        self.pack = ray.get(self.packs.start.remote(node, gpu, self.lanes, max(1, int(self.cores))))
        self.process = ray.get(self.pack.process.remote())
        return ray.get(self.pack.first.remote(work, *arguments))

    def keep(self) -> Any:
        """The actor that knows the pack, to which trials will come."""
        self.kept = True
        return self.packs

    def __exit__(self, *raised: object) -> None:
        if not self.kept:
            if self.pack is not None:
                ray.kill(self.pack)
            if self.process is not None:
                with contextlib.suppress(*DIED):
                    ray.get(self.place.await_end.remote(self.process))
            ray.kill(self.packs)
        ray.kill(self.place)


class LaneWorker:
    """A lane with the methods of a `Worker`, from another process. Raises PackLost where the lane's has died."""

    losses = 0
    """A trial whose lane is lost starts again in another actor."""

    def __init__(self, setting: Setting):
        self.pack, self.number = take(setting)

    def begin(self, recipe: Mapping[str, Any], saved: bytes | None) -> SimpleNamespace:
        return self._do("begin", recipe, saved)

    def train_epoch(self) -> dict[str, Any]:
        return self._do("train_epoch")

    def dump(self) -> bytes:
        return self._do("dump")

    def measure(self) -> dict[str, float | str]:
        return self._do("measure")

    def evaluate(self) -> SimpleNamespace:
        return self._do("evaluate")

    def weights(self) -> bytes:
        return self._do("weights")

    def end(self) -> None:
        # Of a trial that has ended, all is at hand that is to be written.
        with contextlib.suppress(PackLost):
            self._do("end")

    def close(self) -> None:
        """Give the lane back."""
        with contextlib.suppress(*DIED):
            ray.get(self.pack.give_back.remote(self.number))

    def _do(self, name: str, *arguments: Any) -> Any:
        try:
            answer = ray.get(self.pack.do.remote(self.number, name, *arguments))
        except DIED:
            raise PackLost from None
        if isinstance(answer, Exception):
            raise answer
        return answer


def given_gpu() -> str | None:
    """The one that Ray has given to this process, if any."""
    return next((os.environ[name] for name in VISIBLE if os.environ.get(name)), None)


def take(setting: Setting) -> tuple[Any, int]:
    """A pack on this machine and GPU, and the number of a lane of it that is now this process's."""
    packs, whole = setting.packs
    place = ray.get_runtime_context().get_node_id(), given_gpu() if setting.gpus else None
    known, died = 0, 0
    while died < TRIES:
        found = ray.get(packs.at.remote(*place, known, setting.lanes, setting.threads))
        known = len(found)
        for which, pack in found.items():
            try:
                # The setting as a reference in a list, which Ray does not fetch: the pack does, once.
                number = ray.get(pack.take.remote(os.getpid(), whole))
            except DIED:
                ray.get(packs.forget.remote(which))
                known, died = known - 1, died + 1
                continue
            if number is not None:
                return pack, number
    raise PackLost
