"""A search without Ray: spaces, and a driver that ends trials as Tune does."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from evae.posteriors.gaussian import Gaussian
from evae.recipe import Recipe
from evae.search.foresight import Foresight
from evae.search.job import Job
from evae.search.rungs import Rungs
from evae.search.samplers import sampler as samplers
from evae.search.searcher import FINISHED, StudySearcher
from evae.search.space import Control, Space

BASE = Recipe(latent=4)
EVERY_SAMPLER = [pytest.param(name, marks=pytest.mark.slow if name == "gp" else ()) for name in sorted(samplers)]
"""A suggestion of the Gaussian process takes about a second."""
OBJECTIVES = [("val_a", "min"), ("val_b", "max")]
Score = Callable[[Job], dict[str, Any]]


def suggest_beta(trial: optuna.trial.BaseTrial, base: Recipe) -> Recipe:
    return replace(base, posterior=Gaussian(beta=trial.suggest_float("beta", 0.1, 10.0, log=True)))


def suggest_three(trial: optuna.trial.BaseTrial, base: Recipe) -> Recipe:
    return replace(base, latent=trial.suggest_categorical("latent", [2, 3, 5]))


LINE = Space(suggest_beta, (Control("one", {"beta": 1.0}), Control("two", {"beta": 2.0}, origin="paper")))
FINITE = Space(suggest_three, (Control("three", {"latent": 3}),))


def searcher(space=LINE, *, total=6, seeds=1, sampler="tpe", sampler_seed=0, objectives=OBJECTIVES, base=BASE, **more):
    return StudySearcher(
        space,
        base,
        objectives,
        total=total,
        seeds=seeds,
        sampler_seed=sampler_seed,
        make_sampler=samplers[sampler],
        **more,
    )


def good(job: Job) -> dict[str, Any]:
    """A trade-off in beta, with something of the seed in it."""
    beta = job.recipe["posterior"].get("beta", 1.0)
    return {"state": "finished", "val_a": beta + job.seed, "val_b": 1 / beta - job.seed}


def row_of(job: Job, result: dict[str, Any]) -> dict[str, Any]:
    """The store's row of a trial that ended so, through JSON as in the store."""
    kept = ("configuration", "number", "seed", "attempt", "origin", "label", "role")
    plain = {name: json.loads(json.dumps(getattr(job, name))) for name in ("params", "recipe")}
    return {name: getattr(job, name) for name in kept} | plain | result


def drive(search: StudySearcher, score: Score = good, slots: int = 2, limit: int = 10**6) -> list[dict[str, Any]]:
    """Run as Tune does, `slots` at a time and ending in order; the rows of the trials that ended."""
    rows, running, started = [], [], 0
    while True:
        while len(running) < slots and started < limit:
            job = search.suggest(f"t{started}")
            if job == FINISHED or (job is None and running):
                break
            running.append((f"t{started}", job))
            started += 1
        if not running:
            return rows
        name, job = running.pop(0)
        result = score(job)
        if job.rungs and job.number % 3:
            search.rungs.stopped[job.trial] = "stopped at a rung"
            result = {"state": "running"}
        search.on_trial_complete(name, result)
        configuration = search.configurations[job.configuration]
        rows.append(row_of(job, (configuration.ended | configuration.fresh).get(job.seed, result)))


def seeing(rungs: Rungs) -> Rungs:
    """The same rungs, all of which are taken to see every objective."""
    rungs.looked = {of: [Foresight(1.0, 8, True)] * len(rungs.objectives) for of in rungs.looked}
    return rungs


def states(search: StudySearcher) -> list[TrialState]:
    return [trial.state for trial in search.study.trials]


def straight(job: Job) -> dict[str, Any]:
    """No trade-off: a small beta is better in both; with half a percent of noise."""
    beta, noise = job.recipe["posterior"]["beta"], 1 + 0.005 * (-1) ** (job.seed + job.number)
    return {"state": "finished", "val_a": beta * noise, "val_b": noise / beta}
