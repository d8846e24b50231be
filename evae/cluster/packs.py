"""Where a study's packs are, and how Tune's actor of a trial comes by a lane of one.

With lanes, the actor of a trial is a process that trains nothing: it keeps the trial's rows, and hands the work to a
lane (`evae.cluster.pack`) on its own machine. It imports no torch, and takes a share of the pack's cores and GPU, so
that Ray counts lanes as it counts trials. Who asks first for a lane of a GPU has its pack started. All packs belong to
one actor of the driver's, and end with it.
"""

import contextlib
import os
from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from evae.cluster.losses import DIED, PackLost
from evae.cluster.pack import VISIBLE, Pack
from evae.cluster.setting import Setting

TRIES = 3
"""So many packs in a row may die before one of them has given a lane."""


def shared(setting: Setting) -> Setting:
    """What a trial's actor needs of the setting to have its trials trained in lanes. Called by the driver."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    options = {"num_cpus": 0, "scheduling_strategy": here, "max_restarts": -1, "max_task_retries": -1}
    packs = ray.remote(**options)(Packs).remote(setting.lanes), [ray.put(setting)]
    none = np.empty((0, *setting.images.train.shape[1:]), np.uint8)
    images = replace(setting.images, train=none, validation=none, test=none, labels=None, truth=None)
    return replace(setting, images=images, references={}, packs=packs)


class Packs:
    """The packs of a study, by the machine and GPU that they are on. An actor; where it dies, its packs do, and Ray
    starts it again without any."""

    def __init__(self, lanes: int):
        self.lanes = lanes
        self.packs: dict[int, tuple[tuple[str, str | None], Any]] = {}
        self.started = 0

    def at(self, node: str, gpu: str | None, known: int, setting: list[ray.ObjectRef]) -> Mapping[int, Any]:
        """The packs there by number. Where there are no more than the `known` ones, whose lanes are taken, another.

        The setting comes as a reference in a list, which Ray does not fetch: here nobody needs the images."""
        while len(found := {n: pack for n, (place, pack) in self.packs.items() if place == (node, gpu)}) <= known:
            there = NodeAffinitySchedulingStrategy(node, soft=False)
            # For who waits for a lane's work, for who takes one, and for work whose trial has lost its own process.
            options = {"num_cpus": 0, "scheduling_strategy": there, "max_concurrency": 2 * self.lanes + 4}
            self.packs[self.started] = (node, gpu), ray.remote(**options)(Pack).remote(*setting, gpu)
            self.started += 1
        return found

    def forget(self, number: int) -> None:
        """This pack has died."""
        self.packs.pop(number, None)


class LaneWorker:
    """A lane with the methods of a `Worker`, from another process. Raises PackLost where the lane's has died."""

    losses = 0
    """A trial whose lane is lost starts again in another actor."""

    def __init__(self, setting: Setting):
        # As Ray has given it to this process.
        gpu = next((os.environ[name] for name in VISIBLE if os.environ.get(name)), None) if setting.gpus else None
        self.pack, self.number = take(*setting.packs, gpu)

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


def take(packs: Any, setting: list[ray.ObjectRef], gpu: str | None) -> tuple[Any, int]:
    """A pack on this machine and GPU, and the number of a lane of it that is now this process's."""
    node, known, died = ray.get_runtime_context().get_node_id(), 0, 0
    while died < TRIES:
        found = ray.get(packs.at.remote(node, gpu, known, setting))
        known = len(found)
        for which, pack in found.items():
            try:
                number = ray.get(pack.take.remote(os.getpid()))
            except DIED:
                ray.get(packs.forget.remote(which))
                known, died = known - 1, died + 1
                continue
            if number is not None:
                return pack, number
    raise PackLost
