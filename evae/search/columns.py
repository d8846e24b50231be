"""The trials of an Optuna study as columns of numbers, kept up to date trial by trial.

Optuna's TPE goes through all trials in Python for every parameter that it draws. Here only what has changed since the
last suggestion is read.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from heapq import heappop, heappush
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from evae.search.changes import Changes
from evae.search.fronts import Fronts

ROOM = 1024
"""Rows that there is room for at first."""


class Branch:
    """Numbers of trials, which come and go, and the newest of them."""

    def __init__(self) -> None:
        self._numbers: set[int] = set()
        self._newest: list[int] = []
        """A heap of the same, times -1, with some that have gone."""

    def join(self, number: int) -> None:
        self._numbers.add(number)
        heappush(self._newest, -number)

    def leave(self, number: int) -> None:
        self._numbers.discard(number)

    def newest(self) -> int | None:
        while self._newest and -self._newest[0] not in self._numbers:
            heappop(self._newest)
        return -self._newest[0] if self._newest else None


class Columns:
    """Rows are trials by number: `state` (of TrialState), `values` (n, objectives) to be minimised, `broken`, by how
    much constraints are, and parameters in Optuna's internal representation; NaN where a trial has none."""

    def __init__(self, study: Study):
        self.signs = [-1.0 if way == StudyDirection.MAXIMIZE else 1.0 for way in study.directions]
        self._changes = Changes()
        self.distributions: dict[str, BaseDistribution] = {}
        self.branches: dict[tuple, Branch] = {}
        """Which trials have which parameters and chose which of their categories."""
        self._branch: list[tuple] = []
        self._state = np.full(ROOM, -1)
        self._values = np.full((ROOM, len(self.signs)), np.nan)
        self._broken = np.zeros(ROOM)
        self._params: dict[str, np.ndarray] = {}
        self.fronts = Fronts(len(self.signs))
        """Of the complete trials that break no constraint, which are `feasible`, by number."""
        self.feasible: list[int] = []
        self.version = 0
        """Goes up with every trial that ends."""

    def update(self, study: Study, given: Callable[[FrozenTrial], Mapping[str, Any]]) -> None:
        """Read what has changed. `given(trial)` are the parameters of a trial, those that it has been promised too."""
        changed = self._changes.read(study)
        self._grow(len(self.trials))
        self._branch += [()] * (len(self.trials) - len(self._branch))
        for trial in changed:
            self._read(trial, given(trial))

    def _grow(self, n: int) -> None:
        while len(self._state) < n:
            self._state = np.concatenate([self._state, np.full_like(self._state, -1)])
            self._values = np.concatenate([self._values, np.full_like(self._values, np.nan)])
            self._broken = np.concatenate([self._broken, np.zeros_like(self._broken)])
            for name, column in self._params.items():
                self._params[name] = np.concatenate([column, np.full_like(column, np.nan)])

    def _read(self, trial: FrozenTrial, params: Mapping[str, Any]) -> None:
        number = trial.number
        self._state[number] = int(trial.state)
        self.distributions |= trial.distributions
        if trial.state.is_finished():
            self.version += 1
            self._broken[number] = sum(by for by in trial.constraints.values() if by > 0)
            if trial.state == TrialState.COMPLETE:
                self._values[number] = np.array(trial.values) * self.signs
                if self._broken[number] <= 0:
                    self.fronts.add(self._values[number])
                    self.feasible.append(number)
        for name, value in params.items():
            if name not in self._params:
                self._params[name] = np.full(len(self._state), np.nan)
            self._params[name][number] = self.distributions[name].to_internal_repr(value)
        kinds = trial.distributions.items()
        chosen = {name: trial.params[name] for name, kind in kinds if isinstance(kind, CategoricalDistribution)}
        before, now = self._branch[number], (tuple(trial.params), tuple(chosen.items()))
        if now != before:
            if before:
                self.branches[before].leave(number)
            self._branch[number] = now
            self.branches.setdefault(now, Branch()).join(number)

    def branch(self, trial: FrozenTrial, name: str) -> dict[str, BaseDistribution]:
        """The parameters that come with `name` where `trial` stands: those that all trials have which had `name` and
        had chosen as this one (or as nearly so as any), without those that it has already."""
        kinds = trial.distributions.items()
        chosen = {(n, trial.params[n]) for n, kind in kinds if isinstance(kind, CategoricalDistribution)}
        by_likeness = defaultdict(list)
        for (names, theirs), branch in self.branches.items():
            if name in names and (newest := branch.newest()) is not None:
                by_likeness[len(chosen.intersection(theirs))].append((names, newest))
        if not by_likeness:
            return {}
        near = by_likeness[max(by_likeness)]
        shared = set.intersection(*(set(names) for names, _ in near)) - trial.params.keys()
        # Those of the newest: a continued study may have had other ranges.
        distributions = self.trials[max(last for _, last in near)].distributions
        return {n: distributions[n] for n in sorted(shared) if not distributions[n].single()}

    @property
    def trials(self) -> list[FrozenTrial]:
        return self._changes.trials

    @property
    def state(self) -> np.ndarray:
        return self._state[: len(self.trials)]

    @property
    def values(self) -> np.ndarray:
        return self._values[: len(self.trials)]

    @property
    def broken(self) -> np.ndarray:
        return self._broken[: len(self.trials)]

    def are(self, *states: TrialState) -> np.ndarray:
        """(n,) booleans: which trials are in one of these states."""
        return np.logical_or.reduce([self.state == state for state in states])

    def having(self, names: Mapping[str, Any], rows: np.ndarray) -> dict[str, np.ndarray]:
        """The columns `names` of those of the `rows` (booleans) that have all of them."""
        columns = {
            name: self._params.get(name, np.full(len(self._state), np.nan))[: len(self.trials)] for name in names
        }
        for column in columns.values():
            rows = rows & ~np.isnan(column)
        return {name: column[rows] for name, column in columns.items()}
