"""TPE for spaces with branches: parameters that belong together are drawn together."""

from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import TPESampler
from optuna.samplers._tpe.sampler import (
    _get_reference_point,
    _solve_hssp_with_cache,
    default_gamma,
    default_gamma_multiobjective,
)
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from evae.search.columns import Columns
from evae.search.fronts import Fronts
from evae.search.parzen import Parzen

KNOWN = (TrialState.COMPLETE, TrialState.PRUNED)
"""States of trials that say what is good and what is not."""
COLUMNS: WeakKeyDictionary[Study, Columns] = WeakKeyDictionary()
"""Of each study what has been read of its trials: a search has a new sampler for every suggestion."""


class BranchTPE(TPESampler):
    """TPE that draws the parameters of a branch of a conditional space together.

    With several objectives Optuna's draws one parameter after the other, as if they had nothing to do with each other,
    and goes through all trials for each. It can also draw jointly (Falkner et al., BOHB, arXiv 1807.01774, section 3.2)
    the groups of parameters that always come together, which finds more where they do depend on each other, but takes
    longer still. Here the first parameter of a branch that a trial asks for brings the others with it: found is the
    same as with groups (benchmarks/results/tpe.md), and two or three passes over the trials are enough.

    What it suggests is what Optuna's own code would (a test compares the two); that goes through all trials in Python
    in each pass, this through columns of numbers.
    """

    reads_outside = True
    """What was found beyond a range is a kernel of its density, which is cut off where the range ends."""

    def __init__(self, seed: int, n_startup_trials: int = 10):
        super().__init__(seed=seed, n_startup_trials=n_startup_trials, multivariate=True)
        self._parzen_estimator_cls = Parzen
        self._trial = -1
        self._split: tuple[int, np.ndarray] = -1, np.empty(0, bool)
        self._drawn: dict[str, tuple[BaseDistribution, Any]] = {}
        """What has been drawn for that trial and not been asked for yet."""

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Nothing before the trial asks."""
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        if trial.number != self._trial:
            self._trial, self._drawn = trial.number, {}
            self._read(study)
        if param_name not in self._drawn:
            space = COLUMNS[study].branch(trial, param_name)
            values = self.sample_relative(study, trial, space)
            self._drawn |= {name: (space[name], value) for name, value in values.items()}
        distribution, value = self._drawn.pop(param_name, (None, None))
        if distribution == param_distribution:
            return value
        return super().sample_independent(study, trial, param_name, param_distribution)

    def _read(self, study: Study) -> None:
        """Bring the study's columns up to date: once for each trial, which is what changes while it is suggested."""
        if study not in COLUMNS:
            COLUMNS[study] = Columns(study)
        COLUMNS[study].update(study, lambda trial: self._get_params(trial, study))

    def _sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """TPESampler's, on columns: nothing before there are trials enough."""
        if not search_space or COLUMNS[study].are(*KNOWN).sum() < self._n_startup_trials:
            return {}
        return self._sample(study, trial, search_space)

    def _sample(self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        """TPESampler's, on columns."""
        columns = COLUMNS[study]
        below = self._below(columns)
        above = columns.are(*KNOWN, TrialState.RUNNING) & ~below
        above[trial.number] = False
        good, rest = (columns.having(search_space, rows) for rows in (below, above))
        weights = np.ones(len(next(iter(good.values())))) if columns.values.shape[1] > 1 else None
        good = self._parzen_estimator_cls(good, search_space, self._parzen_estimator_parameters, weights)
        rest = self._parzen_estimator_cls(rest, search_space, self._parzen_estimator_parameters)
        drawn = good.sample(self._rng.rng, self._n_ei_candidates)
        best = self._compare(drawn, self._compute_acquisition_func(drawn, good, rest))
        return {name: kind.to_external_repr(best[name]) for name, kind in search_space.items()}

    def _below(self, columns: Columns) -> np.ndarray:
        """(n,) booleans: the trials taken for good ones. The complete come first, then the pruned, then those that
        break constraints the least."""
        if self._split[0] == columns.version:
            return np.r_[self._split[1], np.zeros(len(columns.state) - len(self._split[1]), bool)]
        known, pruned, within = columns.are(*KNOWN), columns.are(TrialState.PRUNED), columns.broken <= 0
        several = columns.values.shape[1] > 1
        n = (default_gamma_multiobjective if several else default_gamma)(int(known.sum()))
        feasible = np.array(columns.feasible, int)
        order = feasible[_best(columns.fronts, min(n, len(feasible)))]
        broken = np.flatnonzero(known & ~within)
        broken = broken[np.argsort(columns.broken[broken], kind="stable")]
        below = np.zeros(len(known), bool)
        below[np.r_[order, np.flatnonzero(pruned & within), broken][: max(n, len(order))]] = True
        self._split = columns.version, below
        return below


def _best(known: Fronts, n: int) -> np.ndarray:
    """Indices of the best n of `known` points: by front, and of the last front those that together have the largest
    hypervolume."""
    if known.values.shape[1] == 1:
        return np.argsort(known.values[:, 0], kind="stable")[:n]
    if n in (0, known.n):
        return np.arange(n)
    found, last = np.empty(0, int), np.empty(0, int)
    for last in known.fronts():
        if len(found) + len(last) > n:
            break
        found = np.r_[found, last]
    if len(found) == n:
        return found
    of, reference = known.values[last], _get_reference_point(known.values[last])
    return np.r_[found, _solve_hssp_with_cache(tuple(of.ravel()), tuple(last), n - len(found), tuple(reference))]
