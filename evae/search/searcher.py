"""Optuna asked for configurations, replicates them over seeds, and tells Optuna the truth.

Optuna is told of a configuration once all replicates that it was given have ended: the mean of its objectives over
those that finished (COMPLETE), with how far constraints are kept; PRUNED where its trial was stopped at a rung, without
values, which are of a lower fidelity than the others', or where it was not trained since it cannot keep to them; FAIL
where no replicate finished otherwise. A diverged trial is a normal outcome and must neither stay RUNNING (Optuna would
then keep away from its neighbourhood) nor count with a made-up value.

What samplers make of PRUNED without values: TPE takes such trials for worse than every complete one, so that it learns
where not to look; NSGA-II and the Gaussian process leave them out.

When the search is over, what it has chosen may be confirmed (`evae.search.confirmation`): trained with fresh seeds, of
which Optuna hears nothing.
"""

import sys
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import optuna
from optuna.samplers import BaseGASampler, BaseSampler, QMCSampler, RandomSampler
from optuna.trial import TrialState

from evae.recipe import Recipe
from evae.search.configuration import Configuration
from evae.search.confirmation import Confirmation
from evae.search.constraints import Constraint, tell_violations
from evae.search.exact import Exact
from evae.search.job import CONFIRM, ENDED, FIRST_FRESH, SEARCH, Job, is_fresh
from evae.search.past import Account, point
from evae.search.pool import Pool, leave_outside, tell
from evae.search.replicates import Race
from evae.search.rungs import Rungs
from evae.search.space import Space
from evae.search.tally import Tally, missing

REDRAWS = 5
"""How often a sampler that comes up with known configurations is asked again. Then points are drawn at random; after as
many known ones, and as many more as there are configurations, the search is called exhausted."""

FINISHED = "FINISHED"
"""What is suggested when nothing is left to be trained."""

OUTSIDE = 300
"""After so many points in a row that cannot keep to the constraints, the search is called exhausted."""


class StudySearcher:
    """Suggests `total` configurations with up to `seeds` replicates each; controls of the space come first.

    With `race`, more than one replicate is for configurations near the front (`evae.search.replicates`): each gets the
    next one when its last has ended, and once all configurations are drawn, those that have come near since. With
    `rungs`, the first replicate goes ahead and the others follow once it has finished. Whenever all of that has ended,
    `confirmation` says what is to be trained with fresh seeds.

    `objectives` are (metric, "min" or "max"), read from the result a trial ends with. `history` holds the trials' rows
    of earlier sessions of the same study: ended ones are told again, replicates still missing are trained first. What a
    recipe itself breaks of the `constraints` (`exact` knows) is not trained, and what its trials break is not ranked;
    Optuna hears of both. What the `pool` has is taken from there. `make_sampler(seed)` is called anew before each
    suggestion with a seed derived from `sampler_seed` and the configuration's number, so that a continued study does
    not draw its first suggestions again.
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
        make_sampler: Callable[[int], BaseSampler],
        race: bool = False,
        rungs: Rungs | None = None,
        confirmation: Confirmation | None = None,
        constraints: Sequence[Constraint] = (),
        exact: Exact | None = None,
        history: Iterable[Mapping[str, Any]] = (),
        pool: Pool | None = None,
    ):
        self.space, self.base, self.objectives = space, base, list(objectives)
        self.total, self.seeds, self.sampler_seed, self.make_sampler = total, seeds, sampler_seed, make_sampler
        self.race = Race(self.objectives) if race else None
        self.rungs, self.confirmation = rungs, confirmation
        self.constraints, self.exact, self.outside = tuple(constraints), exact, 0
        self.at_first = 1 if race or rungs else seeds
        directions = ["minimize" if direction == "min" else "maximize" for _, direction in objectives]
        self.study = optuna.create_study(directions=directions)
        self.on_change: Callable[[optuna.trial.FrozenTrial, Configuration], None] = lambda trial, configuration: None
        """Called whenever a configuration's trial of the Optuna study begins or ends."""
        self.on_confirm: Callable[[Mapping[str, int]], None] = lambda more: None
        """Called with the number of fresh seeds that each configuration gets now, by its key."""
        self.on_taken: Callable[[Mapping[str, Any]], None] = lambda row: None
        """Called with the row of each trial that the pool had."""
        self.configurations: dict[str, Configuration] = {}
        self.jobs: deque[Job] = deque()
        self.running: dict[str, Job] = {}
        self.next: Job | None = None
        self.exhausted = False
        self.tally = Tally()
        self.pool, self.past, self.taken = pool or Pool(), Account(), 0
        """Where trials may be taken from, what has become of those of earlier sessions, and how many were taken."""
        self.names: dict[str, str] = {}
        """What the study calls a configuration, by what its recipe is called now that may be measured otherwise."""
        self.elsewhere: set[str] = set()  # which configurations of the pool Optuna knows
        self.last_number = -1
        self.room: Callable[[], int] = lambda: sys.maxsize
        """How many trials may be under way now; a study sets it once it has machines."""
        self._take_over(list(history))
        first = tell(self, self.pool)
        known = {c.label for c in self.configurations.values()}
        for control in space.controls:
            if control.label not in known:
                attrs = {"label": control.label, "origin": control.origin}
                self.study.enqueue_trial(dict(control.params), user_attrs=attrs)
        for params in first:
            self.study.enqueue_trial(dict(params))

    @property
    def planned(self) -> int:
        """Trials in all, as far as is known now."""
        rest = 0 if self.exhausted else max(0, self.total - len(self.configurations))
        return self.tally.wanted + rest * self.at_first + self.tally.planned_fresh(self)

    @property
    def done(self) -> int:
        """Trials that have ended."""
        return self.tally.ended

    def suggest(self, trial_id: str) -> Job | str | None:
        """What to train next under this name: a job, `FINISHED`, or None where something has to end first."""
        job = self.upcoming()
        if isinstance(job, Job):
            self.running[trial_id], self.next = job, None
        return job

    def upcoming(self) -> Job | str | None:
        """What would be suggested now, with all that the pool has before it taken."""
        while self.next is None:
            if not self.jobs and self.all_drawn and self._settled():
                return FINISHED
            # Nothing is drawn before there is room: what ends meanwhile makes for a better suggestion.
            if len(self.running) >= self.room():
                return None
            while not self.jobs and not self.all_drawn:
                self._ask()
            if not self.jobs:
                return FINISHED if self._settled() else None
            job = self.pool.take(self.jobs.popleft())
            if isinstance(job, Job):
                self.next = job
            else:
                self.taken += 1
                self._ended(*job)
                self.on_taken(job[1])
        return self.next

    def on_trial_complete(self, trial_id: str, row: Mapping[str, Any]) -> None:
        """Take note of how the job suggested under this name ended."""
        job = self.running.pop(trial_id, None)
        if job is not None:
            if self.rungs is not None and job.trial in self.rungs.stopped:
                row = {"state": "stopped"}
            elif self.rungs is not None and job.rungs and row["state"] == "finished":
                self.rungs.end(job.trial, row)
            # When the time is up, Tune completes the trials in flight with their last epoch: they have not ended.
            if row["state"] in ENDED:
                self._ended(job, row)

    def _ended(self, job: Job, row: Mapping[str, Any]) -> None:
        configuration = self.configurations[job.configuration]
        if job.role == CONFIRM:
            configuration.fresh[job.seed] = row
            self.tally.ended += 1
        else:
            configuration.ended[job.seed] = row
            self.tally.ended += 1
            self.tally.note(configuration, self)
            if self.race:
                self.race.note(configuration, self.keeps(configuration))
            self._proceed(configuration)

    def close(self) -> None:
        """Tell Optuna FAIL of what has not ended, so that nothing stays RUNNING when the session is over."""
        for configuration in self.configurations.values():
            if not configuration.told:
                self.study.tell(configuration.optuna_trial, state=TrialState.FAIL)
                self._changed(configuration.optuna_trial, configuration)

    @property
    def all_drawn(self) -> bool:
        return self.exhausted or len(self.configurations) >= self.total

    def _settled(self) -> bool:
        """Whether no further replicate will be wanted; queues those that are."""
        if self.running and (self.at_first < self.seeds or self.confirmation):
            return False
        if self.race:
            for key in self.race.near():
                if self.configurations[key].wanted < self.seeds:
                    self._want(self.configurations[key], 1)
        if self.confirmation and not self.jobs:
            self._confirm(self.confirmation)
        return not self.jobs

    def _confirm(self, confirmation: Confirmation) -> None:
        """Queue the fresh seeds that are wanted and that neither have ended nor been asked for: one that this session
        has asked for in vain is left to the next.

        Seed by seed, so that a study that is stopped has the same seeds of all.
        """
        wanted = confirmation.wanted(self.configurations)
        more = {key: missing(self.configurations[key], seeds) for key, seeds in wanted.items()}
        for seed in sorted({seed for seeds in more.values() for seed in seeds}):
            for key in (key for key, seeds in more.items() if seed in seeds):
                configuration = self.configurations[key]
                configuration.asked.add(seed)
                self.tally.fresh += 1
                self.jobs.append(self._job(configuration, seed, configuration.attempts.get(seed, 0) + 1))
        if self.jobs:
            self.on_confirm({key: len(seeds) for key, seeds in more.items() if seeds})

    def _ask(self) -> None:
        """Draw one configuration that the study does not have yet, and queue its replicates."""
        drawn = next((c.number for c in reversed(self.configurations.values())), -1)
        number = 1 + max(self.last_number, drawn)
        own = self._sampler()
        for sampler in self._attempts(own):
            self.study.sampler = sampler
            trial = self.study.ask()
            self._place(trial, own)
            recipe = self.space.suggest(trial, self.base)
            key = recipe.configuration()
            if self._breaks(trial, recipe):
                continue
            if key not in self.names:
                attrs = trial.user_attrs
                origin, label = attrs.get("origin", "searched"), attrs.get("label")
                configuration = Configuration(key, number, recipe, trial.params, origin, label, trial)
                self.configurations[key], self.names[key] = configuration, key
                self._want(configuration, self.at_first)
                self._changed(trial, configuration)
                return
            # Not its values once more: the sampler would be drawn to the same point all the more.
            self.study.tell(trial, state=TrialState.FAIL)
        self.exhausted = True

    def _breaks(self, trial: optuna.trial.Trial, recipe: Recipe) -> bool:
        """Whether a recipe cannot keep to the constraints; Optuna is told by how much."""
        by = self.exact.violations(recipe) if self.exact is not None else []
        self.outside = self.outside + 1 if any(each > 0 for each in by) else 0
        if not self.outside:
            return False
        tell_violations(trial, self.exact.constraints, by)
        self.study.tell(trial, state=TrialState.PRUNED)
        return True

    def _attempts(self, first: BaseSampler) -> Iterator[BaseSampler]:
        """The samplers of one suggestion, each asked if the one before has come up with what there is already."""
        known = len(self.configurations)
        yield first
        # In a continued study a quasi-random sequence first runs through the points that it has drawn before.
        for _ in range(REDRAWS + known * isinstance(first, QMCSampler)):
            yield self._sampler()
        # Where constraints leave little of the space, there is more to be asked for.
        while 0 < self.outside < OUTSIDE:
            yield self._sampler() if self.outside % 2 else RandomSampler(seed=self._seed())
        # A sampler may insist on its favourite, most of all where that has no parameters left to vary.
        for _ in range(REDRAWS + known):
            yield RandomSampler(seed=self._seed())

    def _sampler(self) -> BaseSampler:
        return self.make_sampler(self._seed())

    def _seed(self) -> int:
        return (self.sampler_seed * 1_000_003 + len(self.study.get_trials(deepcopy=False))) % 2**31

    def _place(self, trial: optuna.trial.Trial, sampler: BaseSampler) -> None:
        """Make a trial part of a genetic sampler's generation, also where its parameters were given: populations are
        made of the trials that are marked so."""
        if isinstance(sampler, BaseGASampler):
            sampler.get_trial_generation(self.study, self.study.get_trials(deepcopy=False)[trial.number])

    def _want(self, configuration: Configuration, more: int) -> None:
        for seed in range(configuration.wanted, configuration.wanted + more):
            self.jobs.append(self._job(configuration, seed, configuration.attempts.get(seed, 0) + 1))
        configuration.wanted += more
        self.tally.wanted += more

    def _job(self, of: Configuration, seed: int, attempt: int) -> Job:
        recipe = replace(of.recipe, seed=seed).to_dict()
        rungs = self.rungs.epochs if self.rungs is not None and seed == 0 else ()
        role = SEARCH if seed < FIRST_FRESH else CONFIRM
        return Job(of.key, of.number, seed, attempt, of.params, recipe, of.origin, of.label, rungs, role)

    def _proceed(self, configuration: Configuration, near: set[str] | None = None) -> None:
        """Once all its replicates have ended, ask for more of them, or tell Optuna."""
        if len(configuration.ended) < configuration.wanted:
            return
        if more := self._more(configuration, near):
            self._want(configuration, more)
            # They go first: until they have ended, Optuna does not know of a configuration near the front.
            self.jobs.rotate(more)
        elif not configuration.told:
            self._tell(configuration)
            configuration.told = True
            self.tally.told += 1
            self._changed(configuration.optuna_trial, configuration)

    def _more(self, configuration: Configuration, near: set[str] | None) -> int:
        """How many replicates it deserves beyond those that have ended."""
        if configuration.wanted >= self.seeds or self.means(configuration) is None:
            return 0
        if not self.race:
            return self.seeds - configuration.wanted
        return int(configuration.key in (self.race.near(configuration) if near is None else near))

    def _tell(self, configuration: Configuration) -> None:
        trial, values = configuration.optuna_trial, self.means(configuration)
        if values is not None and configuration.key not in self.elsewhere:  # not once more, as in `_ask`
            tell_violations(trial, self.constraints, self.violations(configuration))
            self.study.tell(trial, values)
        else:
            stopped = any(row["state"] == "stopped" for row in configuration.ended.values())
            self.study.tell(trial, state=TrialState.PRUNED if stopped and values is None else TrialState.FAIL)

    def _changed(self, trial: optuna.trial.Trial, configuration: Configuration) -> None:
        self.on_change(self.study.get_trials(deepcopy=False)[trial.number], configuration)

    def means(self, configuration: Configuration) -> list[float] | None:
        """The objectives' means over the finished replicates; None when there is none with finite values."""
        return configuration.standing(self.objectives, self.constraints).means

    def keeps(self, configuration: Configuration) -> bool:
        """Whether a configuration keeps to all constraints, by its trials that have finished."""
        return all(by <= 0 for by in self.violations(configuration))

    def violations(self, configuration: Configuration) -> list[float]:
        """By how much a configuration breaks each constraint, by its trials that have finished."""
        return configuration.standing(self.objectives, self.constraints).violations

    def _take_over(self, history: list[Mapping[str, Any]]) -> None:
        """Rebuild the search from rows of earlier sessions, as this space and these objectives see them; trials that
        had not ended are queued again."""
        groups = defaultdict(list)
        for row in sorted(history, key=lambda row: (row["number"], row["seed"])):
            groups[row["configuration"]].append(row)
        self.last_number = max((row["number"] for row in history), default=-1)
        for key, rows in groups.items():
            first = rows[0]
            found = point(self.space, self.base, first["params"])
            if isinstance(found, str) or found.outside:
                leave_outside(self, found, rows)
                continue
            recipe = found.as_now(Recipe.from_dict(first["recipe"]), self.base.seed)
            made = Configuration(key, first["number"], recipe, first["params"], first["origin"], first["label"])
            ended = {row["seed"]: row for row in rows if self.pool.has_ended(row, recipe)}
            made.ended = {seed: row for seed, row in ended.items() if not is_fresh(row)}
            made.fresh = {seed: row for seed, row in ended.items() if is_fresh(row)}
            self.past.taken_over += len(ended)
            made.attempts = {row["seed"]: row["attempt"] for row in rows}
            made.wanted = max(self.at_first, *(1 + row["seed"] for row in rows if not is_fresh(row)))
            missing = [seed for seed in range(made.wanted) if seed not in made.ended]
            self.jobs += [self._job(made, seed, made.attempts.get(seed, 0) + 1) for seed in missing]
            self.configurations[key], self.names[recipe.configuration()] = made, key
            self.tally.take_over(made, self)
            if self.race and made.ended:
                self.race.note(made, self.keeps(made))
        near = set(self.race.near() if self.race else ())
        for configuration in self.configurations.values():
            configuration.optuna_trial = self.given(configuration.params)
            self._proceed(configuration, near)

    def given(self, params: Mapping[str, Any]) -> optuna.trial.Trial:
        """A trial of the Optuna study with these parameters."""
        self.study.enqueue_trial(dict(params))
        trial = self.study.ask(self.space.distributions(params, self.base))
        self._place(trial, self._sampler())
        return trial
