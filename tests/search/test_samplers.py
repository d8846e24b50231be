"""TPE in a conditional space: what is drawn together, and that it is drawn as it belongs together."""

from collections.abc import Callable

import numpy as np
import optuna
import pytest
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.trial import TrialState

from evae.recipe import Recipe
from evae.search.branch_tpe import COLUMNS, BranchTPE
from evae.search.columns import Columns
from evae.search.nsga2 import NSGA2
from search_spaces.kernels import suggest

EVAE = {"method", "beta", "kernel", "bandwidth", "prior", "prior_width"}


def ask_and_tell(
    study: optuna.Study, make: Callable[[int], BaseSampler], suggested: Callable, times: int
) -> list[optuna.trial.Trial]:
    """New trials, each with a sampler of its own as in a study; `suggested(trial)` gives the two objectives."""
    trials = []
    for _ in range(times):
        study.sampler = make(len(study.trials))
        trials.append(study.ask())
        study.tell(trials[-1], suggested(trials[-1]))
    return trials


@pytest.fixture(scope="module")
def kernels() -> optuna.Study:
    """Sixty random points of the kernel space."""
    study = optuna.create_study(directions=["minimize", "minimize"])

    def suggested(trial: optuna.trial.Trial) -> tuple[float, float]:
        suggest(trial, Recipe())
        return trial.params.get("beta", 1.0), trial.number

    ask_and_tell(study, RandomSampler, suggested, 60)
    return study


def columns(trials: list[optuna.trial.FrozenTrial]) -> Columns:
    study = optuna.create_study(directions=["minimize", "minimize"])
    study.add_trials(trials)
    found = Columns(study)
    found.update(study, lambda trial: trial.params)
    return found


@pytest.mark.parametrize(
    ("given", "name", "found"),
    [
        ({}, "method", {"method"}),
        ({"method": "gaussian"}, "beta", {"beta"}),
        ({"method": "kernel"}, "beta", {"beta", "kernel"}),
        ({"method": "evae"}, "beta", EVAE - {"method"}),
        ({"method": "evae", "beta": 1.0}, "kernel", EVAE - {"method", "beta"}),
        ({"method": "evae"}, "never seen", set()),
    ],
)
def test_a_parameter_brings_those_of_its_branch(kernels, given, name, found):
    like = next(t for t in kernels.trials if given.items() <= {**t.params, "beta": 1.0}.items())
    trial = optuna.trial.create_trial(
        params=given, distributions={n: like.distributions[n] for n in given}, values=[0, 0]
    )
    assert columns(kernels.trials).branch(trial, name).keys() == found


def test_a_branch_without_a_trial_like_it_is_that_of_the_nearest(kernels):
    """A method that no trial has had so far: what is common to the others."""
    others = [t for t in kernels.trials if t.params["method"] != "evae"]
    like = next(t for t in kernels.trials if t.params["method"] == "evae")
    trial = optuna.trial.create_trial(
        params={"method": "evae"}, distributions={"method": like.distributions["method"]}, values=[0, 0]
    )
    assert columns(others).branch(trial, "kernel").keys() == {"beta", "kernel"}
    assert columns(others).branch(trial, "bandwidth") == {}


def ridge(trial: optuna.trial.Trial) -> tuple[float, float]:
    """Good where x and y are equal, wherever that is."""
    if trial.suggest_categorical("flat", [False, True]):
        return 20.0, 20.0
    x, y = trial.suggest_float("x", -2, 2), trial.suggest_float("y", -2, 2)
    return 10 * (x - y) ** 2 + x, 10 * (x - y) ** 2 - x


def test_parameters_that_depend_on_each_other_are_drawn_so():
    """Of a ridge, one by one TPE finds a spot on it; together it finds x and y that follow each other."""

    def correlation(make: Callable[[int], BaseSampler]) -> float:
        study = optuna.create_study(directions=["minimize", "minimize"])
        ask_and_tell(study, RandomSampler, ridge, 100)
        drawn = [t.params for t in ask_and_tell(study, make, ridge, 40)]
        return np.corrcoef([[p[name] for p in drawn if name in p] for name in "xy"])[0, 1]

    assert correlation(lambda seed: TPESampler(seed=seed)) < 0.7 < 0.9 < correlation(BranchTPE)


def test_a_range_that_depends_on_another_parameter_is_kept_to():
    def triangle(trial: optuna.trial.Trial) -> tuple[float, float]:
        x = trial.suggest_float("x", 0.1, 1)
        y = trial.suggest_float("y", 0, round(x, 1))
        return x - y, y - x

    study = optuna.create_study(directions=["minimize", "minimize"])
    trials = ask_and_tell(study, BranchTPE, triangle, 60)
    assert all(0 <= t.params["y"] <= round(t.params["x"], 1) for t in trials)


def test_one_sampler_for_many_trials_draws_anew_for_each():
    study = optuna.create_study(directions=["minimize", "minimize"])
    sampler = BranchTPE(seed=0)
    trials = ask_and_tell(study, lambda number: sampler, ridge, 40)
    drawn = [t.params["x"] for t in trials if "x" in t.params]
    assert len(set(drawn)) == len(drawn) > 10


class Slow(BranchTPE):
    """As Optuna would do it: all trials in Python, in each pass."""

    _sample = TPESampler._sample

    def __init__(self, seed: int):
        super().__init__(seed)
        self._parzen_estimator_cls = TPESampler(multivariate=True)._parzen_estimator_cls

    def _read(self, study: optuna.Study) -> None:
        COLUMNS.pop(study, None)
        super()._read(study)


def genetic(kind: type[NSGAIISampler]) -> Callable[[int], NSGAIISampler]:
    return lambda seed: kind(seed=seed, population_size=12)


@pytest.mark.parametrize("directions", [["maximize"], ["minimize", "maximize"], ["minimize"] * 3], ids=len)
@pytest.mark.parametrize("problem", ["kernels", "ridge"])
@pytest.mark.parametrize(
    ("theirs", "ours"), [(Slow, BranchTPE), (genetic(NSGAIISampler), genetic(NSGA2))], ids=["tpe", "nsga2"]
)
def test_it_suggests_what_optunas_own_code_would(directions, problem, theirs, ours):
    """Trials under way, failed, pruned, tied, and such that break constraints, told in another order than asked."""
    slow, fast = (optuna.create_study(directions=directions) for _ in range(2))
    draw, asked = np.random.default_rng(0), []
    for number in range(80):
        trials = []
        for study, make in ((slow, theirs), (fast, ours)):
            study.sampler = make(number)
            trials.append(study.ask())
            suggest(trials[-1], Recipe()) if problem == "kernels" else ridge(trials[-1])
        assert trials[0].params == trials[1].params, number
        asked.append(trials)
        if len(asked) > 5:
            values, kind = draw.normal(size=len(directions)).round(1).tolist(), draw.integers(10)
            for study, trial in zip((slow, fast), asked.pop(int(draw.integers(5))), strict=True):
                trial.set_constraint("size", float(kind == 2))
                state = {0: TrialState.FAIL, 1: TrialState.PRUNED}.get(kind, TrialState.COMPLETE)
                study.tell(trial, values if state == TrialState.COMPLETE else None, state)
    assert len({trial.state for trial in fast.trials}) == 4
