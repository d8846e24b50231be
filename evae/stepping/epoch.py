"""The steps of an epoch, one after the other: the one training loop."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from evae.data.ahead import ahead
from evae.data.pixels import rows
from evae.data.stream import Stream
from evae.ranks import Share
from evae.recording.program import Program, recorder
from evae.stepping.obstacles import obstacle
from evae.stepping.plan import Desk, Plan
from evae.stepping.step import Done, TrainingStep
from evae.stepping.tally import Tally
from evae.streams import AUGMENTATION, NOISE, ORDER, hashed

if TYPE_CHECKING:
    from evae.training import Training


AHEAD = 8
"""After so many steps the host of one of several processes waits for the others, in a sum that PyTorch watches. It
watches none of a step that is replayed: those might wait for ever for a process that does not come. They are few, for
the host has to reach that sum, before the queue of its device is full."""


@dataclass(frozen=True)
class Steps:
    """An epoch's steps as they were taken: the `sums` of their terms over images, the numbers `beside` the terms, one
    for each step that had them, the columns `of_course`, and how many codes were `decoded`."""

    plan: Plan
    sums: dict[str, float]
    beside: dict[str, list[float]]
    of_course: dict[str, float]
    decoded: int


class Loop:
    """Takes a training's steps, epoch by epoch.

    On CUDA an epoch's plan lies on the device, where its steps are run one after the other without a word from it to
    the host; elsewhere the host gives each step its numbers, and looks at what comes of it.
    """

    def __init__(self, training: Training):
        self.training = training
        device, optimisation, images = training.device, training.recipe.optimisation, len(training.train)
        size = optimisation.batch_size
        self.shares = [training.ranks.share(min(size, images - first)) for first in range(0, images, size)]
        """This process's, of each batch: the last one may be smaller."""
        self.noise, self.flips = torch.Generator(device), torch.Generator(device)
        drawn = (self.noise, self.flips) if training.recipe.data.horizontal_flip else (self.noise,)
        recording = recorder(device, drawn)
        self.program = Program(recording, obstacle(training) if recording else None, training.ranks)
        self.desk = Desk(optimisation, training.steps, device) if recording else None
        self.tally = Tally(training.steps, device, self.desk and self.desk.at)
        self.step = TrainingStep(training, self.tally, self.noise, self.flips)

    def run(self, epoch: int) -> Steps:
        """Take an epoch's steps. Raises Diverged where one had a term that is not finite: no optimiser moved then."""
        training = self.training
        plan, decoded = Plan(training.recipe, epoch, training.steps), 0
        for stream, generator in ((NOISE, self.noise), (AUGMENTATION, self.flips)):
            generator.manual_seed(hashed(training.recipe.seed, epoch, stream))
        self.tally.begin(epoch)
        with self.program.own_stream(), self.step.counting():
            mixed = training.generator(ORDER, epoch)
            order = torch.randperm(len(training.train), generator=mixed, device=training.device)
            training.course.start_epoch(epoch)
            training.trained.train()
            steps = self._on_host(plan, order) if self.desk is None else self._on_device(plan, order)
            for number, (images, kind, step) in enumerate(steps, 1):
                done = self.program.run(kind, step)
                self.tally.count(done.names, done.beside, images)
                decoded += done.decoded
                if number % AHEAD == 0:
                    self._meet()
            self._meet()
            sums, beside = self.tally.read()
            of_course = training.course.end_epoch()
        return Steps(plan, sums, beside, of_course, decoded + sum(self.step.passes))

    def _meet(self) -> None:
        if self.program.records:
            self.training.ranks.meet(self.training.device)

    def _on_host(self, plan: Plan, order: Tensor) -> Iterator[tuple[int, Hashable, Callable[[], Done]]]:
        """Of each step the number of images, its kind, and what takes it."""
        batches, read = self._batches(order), self._read(order)
        for index, share, pixels, dials, judged in zip(
            batches, self.shares, read, plan.dials, plan.judged, strict=True
        ):
            how = {"halved": plan.halved, "judged": judged}
            yield share.whole, None, partial(self.step.take, index, pixels, share, dials, **how)

    def _on_device(self, plan: Plan, order: Tensor) -> Iterator[tuple[int, Hashable, Callable[[], Done]]]:
        """The same, of steps that find on the device which they are."""
        self.desk.lay(plan, order)
        streamed = isinstance(self.training.train, Stream)
        read = self._read(order.cpu()) if streamed else [None] * len(self.shares)
        for share, pixels, judged in zip(self.shares, read, plan.judged, strict=True):
            kind = share.whole, plan.halved, judged, len(self.training.recent.heads)
            yield share.whole, kind, partial(self._take, share, pixels, plan.halved, judged)

    def _take(self, share: Share, pixels: Tensor | None, halved: bool, judged: bool) -> Done:
        index = self.desk.index(share.whole)
        given = rows(self.training.train, index[share.rows]) if pixels is None else pixels
        done = self.step.take(index, given, share, self.desk.dials(), halved=halved, judged=judged)
        self.desk.at.add_(1)
        return done

    def _batches(self, order: Tensor) -> tuple[Tensor, ...]:
        return order.split(self.training.recipe.optimisation.batch_size)

    def _read(self, order: Tensor) -> Iterator[Tensor]:
        """The pixels of this process's share of each batch."""
        shared = zip(self._batches(order), self.shares, strict=True)
        return ahead(self.training.train, [index[share.rows] for index, share in shared])
