"""What a search asks of a pool, and how Optuna hears of trials that are none of this study's search."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import optuna
from optuna.samplers import QMCSampler, RandomSampler
from optuna.trial import TrialState

from evae.errors import UserError
from evae.search.constraints import bounded, tell_violations, violations
from evae.search.job import ENDED, Job, is_fresh
from evae.search.objectives import complete, means
from evae.search.past import NO_VALUES, UNREAD, Point, Told, point

if TYPE_CHECKING:
    from evae.recipe import Recipe
    from evae.search.searcher import StudySearcher

Taken = tuple[Job, Mapping[str, Any]]


class Pool:
    """Where finished trials may be taken from, instead of being trained; this one is empty."""

    told: Sequence[Told] = ()
    """Configurations of which Optuna is told as the search begins."""
    first: bool = False
    """Whether they are trials of this study instead, the first after its controls."""

    def take(self, job: Job) -> Job | Taken:
        """The job with its row, where it need not be trained; else the job, which may be told where weights are."""
        return job

    def lacks(self, row: Mapping[str, Any], recipe: Recipe) -> bool:
        """Whether a finished trial of the study itself has to be measured, and can be, as its recipe is now."""
        return False

    def has_ended(self, row: Mapping[str, Any], recipe: Recipe) -> bool:
        """Whether a trial of the study has ended; of one that finished, with all the epochs that its recipe has now,
        and without anything that has to be measured."""
        if row["state"] != "finished":
            return row["state"] in ENDED
        wanted = recipe.optimisation.epochs
        return row["recipe"]["optimisation"]["epochs"] >= wanted and not self.lacks(row, recipe)


def tell(search: StudySearcher, pool: Pool) -> list[Mapping[str, Any]]:
    """Tell Optuna of configurations of the pool as finished trials with their values: those that fit the space, have a
    value of every objective and constraint, and are none of the study's own; or where these come `first`, return their
    parameters. Controls are left to be taken. A sampler that learns nothing is told nothing, and draws what it would
    draw without a pool."""
    controls, first = [control.params for control in search.space.controls], {}
    if not pool.first and _learns_nothing(search):
        return []
    for told in pool.told:
        found, rows = point(search.space, search.base, told.params), complete(told.rows, search.objectives)
        if isinstance(found, str) or found.outside or not found.is_training(told.recipe) or not rows:
            continue
        key = found.recipe.configuration()
        if key in search.names or key in search.elsewhere or told.params in controls:
            continue
        if pool.first:
            first[key] = told.params
        elif all(map(math.isfinite, by := violations(rows, search.constraints))):
            trial = search.given(told.params)
            tell_violations(trial, search.constraints, by)
            search.study.tell(trial, means(rows, search.objectives))
            search.elsewhere.add(key)
            search.past.told += 1
    return list(first.values())


def take_what_is_certain(search: StudySearcher) -> list[Job]:
    """Let a search take from its pool what it will take whatever trials come to: what is queued, controls, and what its
    sampler draws as long as it knows how everything before has ended. The jobs among these that the pool has not."""
    jobs: list[Job] = []
    blind = _learns_nothing(search)

    def room() -> int:
        known = not jobs or blind or search.jobs
        return sys.maxsize if known or search.study.get_trials(deepcopy=False, states=(TrialState.WAITING,)) else 0

    search.room = room
    while isinstance(job := search.suggest(str(len(jobs))), Job):
        jobs.append(job)
    return jobs


def _learns_nothing(search: StudySearcher) -> bool:
    return isinstance(search.make_sampler(0), QMCSampler | RandomSampler)


def leave_outside(search: StudySearcher, found: Point | str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Count the trials of a configuration that lies outside of the space, and tell Optuna of it where its sampler can
    read that: as a finished trial in wider ranges. Raises UserError where the space has another by its label."""
    first, ended = rows[0], [row for row in rows if row["state"] in ENDED]
    if first["label"] is not None and first["label"] in {control.label for control in search.space.controls}:
        raise UserError(
            f"the study holds a configuration called {first['label']!r} that is trained otherwise than this space's: "
            "give this one a --name of its own."
        )
    finished = complete([row for row in ended if not is_fresh(row)], search.objectives)
    if isinstance(found, str):
        search.past.leave_out(found, len(ended))
    elif not getattr(search.make_sampler(0), "reads_outside", False):
        search.past.leave_out(UNREAD, len(ended))
    elif not finished:
        search.past.leave_out(NO_VALUES, len(ended))
    else:
        search.past.outside += len(ended)
        distributions, values = dict(found.distributions), means(finished, search.objectives)
        by = bounded(search.constraints, violations(finished, search.constraints))
        past = {"params": dict(first["params"]), "distributions": distributions, "values": values, "constraints": by}
        search.study.add_trial(optuna.trial.create_trial(**past))
