"""What is noted of an epoch's steps: the means of their terms, and whether all were finite."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from evae.errors import Diverged

Names = tuple[str, ...]


class Tally:
    """The terms of an epoch's steps, added up in Python's numbers: not every device has float64.

    By default each step is looked at before an optimiser moves, and Diverged is raised there. Where `at` (1,) is the
    number of the step, on the device, rows stay there and are read once, when the epoch ends. From the first step on
    that has a term which is not finite, `stopped` () is 1: nothing may move any more.
    """

    def __init__(self, steps: int, device: torch.device, at: Tensor | None = None):
        self.steps, self.at = steps, at
        self.stopped = None if at is None else torch.zeros((), device=device)
        self.one = torch.ones((), device=device)
        self._rows: dict[Names, Tensor] = {}
        self.begin(0)

    def begin(self, epoch: int) -> None:
        self.epoch = epoch
        self._done: list[tuple[Names, Names, int]] = []
        self._sums: dict[str, float] = {}
        self._beside: dict[str, list[float]] = {}
        if self.stopped is not None:
            self.stopped.zero_()

    def note(self, names: Names, means: Tensor) -> None:
        """The terms of a step, (t,), means over its batch."""
        if self.stopped is None:
            self._last = means.tolist()
            self._check(names, self._last, len(self._done))
        else:
            # As a gradient scaler looks: it makes that 1 and never 0, in one operation; `isfinite` alone takes four.
            torch._amp_foreach_non_finite_check_and_unscale_([means], self.stopped, self.one)
            self._keep(names, means)

    def beside(self, name: str, value: float | Tensor) -> None:
        """A number of a step that is none of its terms, and may be anything."""
        if self.stopped is None:
            self._beside.setdefault(name, []).append(float(value.detach() if isinstance(value, Tensor) else value))
        else:
            self._keep((name,), value.detach().view(1))

    def count(self, names: Names, beside: Names, images: int) -> None:
        """A step of so many images has been taken, or is under way on the device, that notes these."""
        self._done.append((names, beside, images))
        if self.stopped is None:
            self._add(names, self._last, images)

    def read(self) -> tuple[dict[str, float], dict[str, list[float]]]:
        """Each term's sum over images, and the numbers beside them. Raises Diverged for the first step that had a term
        which was not finite."""
        if self.stopped is not None:
            rows = {names: kept.tolist() for names, kept in self._rows.items()}
            for number, (names, beside, images) in enumerate(self._done):
                self._check(names, rows[names][number], number)
                self._add(names, rows[names][number], images)
                for name in beside:
                    self._beside.setdefault(name, []).append(rows[name,][number][0])
        return self._sums, self._beside

    def _keep(self, names: Names, values: Tensor) -> None:
        if names not in self._rows:
            self._rows[names] = values.new_zeros(self.steps, len(names))
        self._rows[names].index_copy_(0, self.at, values[None])

    def _check(self, names: Names, row: Sequence[float], number: int) -> None:
        for term, value in zip(names, row, strict=True):
            if not math.isfinite(value):
                raise Diverged(self.epoch, term, value, number + 1)

    def _add(self, names: Names, row: Sequence[float], images: int) -> None:
        for name, value in zip(names, row, strict=True):
            self._sums[name] = self._sums.get(name, 0.0) + value * images
