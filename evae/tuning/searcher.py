"""Optuna behind Tune: asks for configurations, replicates them over seeds, and tells Optuna the truth.

Optuna is told the mean of a configuration's objectives over its finished replicates, once all replicates have ended.
A configuration of which no replicate finished is told FAIL: a diverged trial is a normal outcome and must neither stay
RUNNING (Optuna would then keep away from its neighbourhood) nor count with a made-up value.
"""

import math
import sys
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Any

import optuna
from optuna.trial import TrialState
from ray.tune.search import Searcher

from evae.recipe import Recipe
from evae.tuning.space import Space
from evae.tuning.trainable import Job

REDRAWS = 20
"""How often, beyond the configurations there are, a known one is drawn anew before the search is called exhausted."""

ENDED = ("finished", "diverged", "failed")
"""States of a trial that will not be trained again."""


@dataclass
class Configuration:
    """A point of the space in the study: its recipe and the rows of its replicates that have ended, by seed."""

    number: int
    recipe: Recipe
    params: Mapping[str, Any]
    origin: str
    label: str | None
    optuna_trial: optuna.trial.Trial
    ended: dict[int, Mapping[str, Any]] = field(default_factory=dict)


class StudySearcher(Searcher):
    """Suggests `total` configurations with `seeds` replicates each; controls of the space come first.

    `objectives` are (metric, "min" or "max"), read from the result a trial ends with. `history` holds the trials' rows
    of earlier sessions of the same study: ended ones are told again, replicates still missing are trained first.
    `make_sampler(seed)` is called anew before each suggestion with a seed derived from `sampler_seed` and the
    configuration's number, so that a continued study does not draw its first suggestions again.
    """

    def __init__(
        self,
        space: Space,
        base: Recipe,
        objectives: Sequence[tuple[str, str]],
        *,
        total: int,
        seeds: int,
        sampler_seed: int,
        make_sampler: Callable[[int], optuna.samplers.BaseSampler],
        history: Iterable[Mapping[str, Any]] = (),
    ):
        super().__init__()
        self.space, self.base, self.objectives = space, base, list(objectives)
        self.total, self.seeds, self.sampler_seed, self.make_sampler = (
            total,
            seeds,
            sampler_seed,
            make_sampler,
        )
        directions = ["minimize" if direction == "min" else "maximize" for _, direction in objectives]
        self.study = optuna.create_study(directions=directions)
        self.configurations: dict[str, Configuration] = {}
        self.jobs: deque[Job] = deque()
        self.running: dict[str, Job] = {}
        self.exhausted = False
        self.room: Callable[[], int] = lambda: sys.maxsize
        """How many trials may be under way now; a study sets it once it has machines."""
        self._take_over(list(history))
        known = {c.label for c in self.configurations.values()}
        for control in space.controls:
            if control.label not in known:
                self.study.enqueue_trial(
                    dict(control.params), user_attrs={"label": control.label, "origin": control.origin}
                )

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        if not self.jobs and self._all_drawn:
            return self.FINISHED
        # Nothing is drawn before there is room: what ends meanwhile makes for a better suggestion.
        if len(self.running) >= self.room():
            return None
        while not self.jobs and not self._all_drawn:
            self._ask()
        if not self.jobs:
            return self.FINISHED
        self.running[trial_id] = job = self.jobs.popleft()
        return {"job": job}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        job = self.running.pop(trial_id, None)
        if job is not None:
            row = {"state": "failed"} if error or result is None else result
            # When the time is up, Tune completes the trials in flight with their last epoch: they have not ended.
            if row["state"] in ENDED:
                self._end(self.configurations[job.configuration], job.seed, row)

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the store is the source of truth."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore: see `history`."""

    @property
    def _all_drawn(self) -> bool:
        return self.exhausted or len(self.configurations) >= self.total

    def _ask(self) -> None:
        """Draw one configuration and queue its replicates; one that the study has already is only told again."""
        # In a continued study a quasi-random sequence first runs through the points that it has drawn before.
        for _ in range(REDRAWS + len(self.configurations)):
            number = 1 + max((c.number for c in self.configurations.values()), default=-1)
            self.study.sampler = self.make_sampler((self.sampler_seed * 1_000_003 + len(self.study.trials)) % 2**31)
            trial = self.study.ask()
            recipe = self.space.suggest(trial, self.base)
            key = recipe.configuration()
            if key not in self.configurations:
                attrs = trial.user_attrs
                origin, label = attrs.get("origin", "searched"), attrs.get("label")
                self._add(key, Configuration(number, recipe, trial.params, origin, label, trial))
                return
            self._tell(trial, self.configurations[key])
        self.exhausted = True

    def _add(self, key: str, configuration: Configuration) -> None:
        self.configurations[key] = configuration
        for seed in range(self.seeds):
            self.jobs.append(self._job(key, configuration, seed, attempt=1))

    def _job(self, key: str, of: Configuration, seed: int, attempt: int) -> Job:
        recipe = replace(of.recipe, seed=seed).to_dict()
        return Job(key, of.number, seed, attempt, of.params, recipe, of.origin, of.label)

    def _end(self, configuration: Configuration, seed: int, row: Mapping[str, Any]) -> None:
        configuration.ended[seed] = row
        if len(configuration.ended) == self.seeds:
            self._tell(configuration.optuna_trial, configuration)

    def _tell(self, trial: optuna.trial.Trial, configuration: Configuration) -> None:
        values = self.means(configuration)
        if values is None:
            self.study.tell(trial, state=TrialState.FAIL)
        else:
            self.study.tell(trial, values)

    def means(self, configuration: Configuration) -> list[float] | None:
        """The objectives' means over the finished replicates; None when there is none with finite values."""
        seen = defaultdict(list)
        for row in configuration.ended.values():
            values = [row.get(metric) for metric, _ in self.objectives]
            if row["state"] == "finished" and all(v is not None and math.isfinite(v) for v in values):
                for index, value in enumerate(values):
                    seen[index].append(float(value))
        return [fmean(seen[index]) for index in sorted(seen)] or None

    def _take_over(self, history: list[Mapping[str, Any]]) -> None:
        """Rebuild the search from rows of earlier sessions; trials that had not ended are queued again."""
        groups = defaultdict(list)
        for row in sorted(history, key=lambda row: (row["number"], row["seed"])):
            groups[row["configuration"]].append(row)
        for key, rows in groups.items():
            first, params = rows[0], rows[0]["params"]
            recipe = replace(Recipe.from_dict(first["recipe"]), seed=self.base.seed)
            self.study.enqueue_trial(params)
            trial = self.study.ask(self.space.distributions(params, self.base))
            configuration = Configuration(first["number"], recipe, params, first["origin"], first["label"], trial)
            self.configurations[key] = configuration
            attempts = {row["seed"]: row["attempt"] for row in rows}
            ended = {row["seed"]: row for row in rows if row["state"] in ENDED}
            for seed in range(self.seeds):
                if seed in ended:
                    self._end(configuration, seed, ended[seed])
                else:
                    self.jobs.append(self._job(key, configuration, seed, attempts.get(seed, 0) + 1))
