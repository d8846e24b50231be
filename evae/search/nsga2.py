"""NSGA-II that does not go through all trials whenever it suggests something."""

from bisect import insort
from collections import defaultdict
from weakref import WeakKeyDictionary

from optuna.distributions import BaseDistribution
from optuna.samplers import NSGAIISampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from evae.search.changes import Changes


class Generations:
    """What NSGA-II asks of a study's complete trials, kept up to date trial by trial: the `members` of each generation
    by number, and the `common` parameters, those that all of them have with the same range. `parents` of a generation
    are chosen once."""

    def __init__(self) -> None:
        self._changes = Changes()
        self.members: dict[int, list[FrozenTrial]] = defaultdict(list)
        self.parents: dict[int, list[FrozenTrial]] = {}
        self.common: dict[str, BaseDistribution] | None = None

    def update(self, study: Study, key: str) -> None:
        """Read what has changed; `key` is the attribute in which a trial's generation stands."""
        for trial in self._changes.read(study):
            if trial.state != TrialState.COMPLETE:
                continue
            if (generation := trial.system_attrs.get(key)) is not None:
                insort(self.members[generation], trial, key=lambda one: one.number)
            theirs = trial.distributions
            known = theirs if self.common is None else self.common
            self.common = {name: known[name] for name in sorted(known) if theirs.get(name) == known[name]}


GENERATIONS: WeakKeyDictionary[Study, Generations] = WeakKeyDictionary()
"""Of each study what has been read of its trials: a search has a new sampler for every suggestion."""


class NSGA2(NSGAIISampler):
    """Optuna's NSGA-II. It suggests what Optuna's own code would (a test compares the two), which reads all trials four
    times for a suggestion and copies the parents of all generations; this reads what has changed."""

    def _read(self, study: Study) -> Generations:
        if study not in GENERATIONS:
            GENERATIONS[study] = Generations()
        GENERATIONS[study].update(study, self._get_generation_key())
        return GENERATIONS[study]

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        common = self._read(study).common or {}
        return {name: kind for name, kind in common.items() if not kind.single()}

    def get_trial_generation(self, study: Study, trial: FrozenTrial) -> int:
        """The one after the newest that is full."""
        key = self._get_generation_key()
        if (known := trial.system_attrs.get(key)) is not None:
            return known
        members = self._read(study).members
        newest = max(members, default=0)
        generation = newest + (len(members.get(newest, ())) >= self.population_size)
        study._storage.set_trial_system_attr(trial._trial_id, key, generation)
        return generation

    def get_population(self, study: Study, generation: int) -> list[FrozenTrial]:
        return list(self._read(study).members.get(generation, ()))

    def get_parent_population(self, study: Study, generation: int) -> list[FrozenTrial]:
        parents = self._read(study).parents
        if generation == 0:
            return []
        if generation in parents:
            return parents[generation]
        found = self.select_parent(study, generation)
        parents[generation] = sorted(found, key=lambda one: one.number)  # in which order Optuna has them from then on
        return found
