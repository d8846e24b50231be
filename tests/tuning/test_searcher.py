"""The search without Ray: what is suggested, what Optuna is told, and what a later session makes of the rows."""

import json
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from evae.posteriors.gaussian import Gaussian
from evae.recipe import Recipe
from evae.tuning.scheduler import Rungs
from evae.tuning.searcher import StudySearcher
from evae.tuning.space import Control, Space
from evae.tuning.study import SAMPLERS
from evae.tuning.trainable import Job
from search_spaces.kernels import CONTROLS, SPACE

BASE = Recipe(latent=4)
OBJECTIVES = [("val_a", "min"), ("val_b", "max")]
Score = Callable[[Job], dict[str, Any]]


def suggest_beta(trial: optuna.trial.BaseTrial, base: Recipe) -> Recipe:
    return replace(base, posterior=Gaussian(beta=trial.suggest_float("beta", 0.1, 10.0, log=True)))


def suggest_three(trial: optuna.trial.BaseTrial, base: Recipe) -> Recipe:
    return replace(base, latent=trial.suggest_categorical("latent", [2, 3, 5]))


LINE = Space(suggest_beta, (Control("one", {"beta": 1.0}), Control("two", {"beta": 2.0}, origin="paper")))
FINITE = Space(suggest_three, (Control("three", {"latent": 3}),))


@pytest.fixture(autouse=True)
def quiet():
    """As in a study; optuna has no other way to be silent about what it thinks of a sampler."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)


def searcher(space=LINE, *, total=6, seeds=1, sampler="tpe", sampler_seed=0, objectives=OBJECTIVES, base=BASE, **more):
    return StudySearcher(
        space,
        base,
        objectives,
        total=total,
        seeds=seeds,
        sampler_seed=sampler_seed,
        make_sampler=SAMPLERS[sampler],
        **more,
    )


def good(job: Job) -> dict[str, Any]:
    """A trade-off in beta, with something of the seed in it."""
    beta = job.recipe["posterior"].get("beta", 1.0)
    return {"state": "finished", "val_a": beta + job.seed, "val_b": 1 / beta - job.seed}


def row_of(job: Job, result: dict[str, Any]) -> dict[str, Any]:
    """The store's row of a trial that ended so, through JSON as in the store."""
    kept = ("configuration", "number", "seed", "attempt", "origin", "label")
    plain = {name: json.loads(json.dumps(getattr(job, name))) for name in ("params", "recipe")}
    return {name: getattr(job, name) for name in kept} | plain | result


def drive(search: StudySearcher, score: Score = good, slots: int = 2, limit: int = 10**6) -> list[dict[str, Any]]:
    """Run as Tune does, `slots` at a time and ending in order; the rows of the trials that ended."""
    rows, running, started = [], [], 0
    while True:
        while len(running) < slots and started < limit:
            answer = search.suggest(f"t{started}")
            if answer == search.FINISHED or (answer is None and running):
                break
            running.append((f"t{started}", answer["job"]))
            started += 1
        if not running:
            return rows
        name, job = running.pop(0)
        result = score(job)
        if job.rungs and job.number % 3:
            search.rungs.stopped[job.trial] = "stopped at a rung"
            result = {"state": "running"}
        search.on_trial_complete(name, result)
        rows.append(row_of(job, search.configurations[job.configuration].ended.get(job.seed, result)))


def states(search: StudySearcher) -> list[TrialState]:
    return [trial.state for trial in search.study.trials]


def test_controls_come_first_in_their_order_with_label_and_origin():
    rows = drive(searcher())
    assert [(r["label"], r["origin"]) for r in rows] == [("one", "control"), ("two", "paper")] + [
        (None, "searched")
    ] * 4
    assert [r["params"] for r in rows[:2]] == [{"beta": 1.0}, {"beta": 2.0}]
    assert [r["number"] for r in rows] == list(range(6))


def test_fewer_configurations_than_controls_are_the_first_controls():
    assert [r["label"] for r in drive(searcher(total=1))] == ["one"]


def test_each_configuration_is_replicated_over_the_seeds_before_the_next():
    rows = drive(searcher(total=3, seeds=3))
    assert [(r["number"], r["seed"]) for r in rows] == [(n, s) for n in range(3) for s in range(3)]
    for row in rows:
        assert row["recipe"]["seed"] == row["seed"] and row["attempt"] == 1
        assert Recipe.from_dict(row["recipe"]).configuration() == row["configuration"]


def test_optuna_is_told_the_mean_over_seeds_in_the_right_directions():
    search = searcher(total=2, seeds=2)
    drive(search)
    assert [d.name for d in search.study.directions] == ["MINIMIZE", "MAXIMIZE"]
    assert [t.values for t in search.study.trials] == [[1.5, 0.5], [2.5, 0.0]]


def test_optuna_hears_of_a_configuration_only_once_all_its_replicates_have_ended():
    search = searcher(total=1, seeds=2)
    first, second = (search.suggest(f"t{i}")["job"] for i in range(2))
    search.on_trial_complete("t0", good(first))
    assert states(search) == [TrialState.RUNNING, TrialState.WAITING]
    search.on_trial_complete("t1", good(second))
    assert states(search) == [TrialState.COMPLETE, TrialState.WAITING]


@pytest.mark.parametrize(
    "bad",
    [
        {"state": "diverged"},
        {"state": "failed", "val_a": 1.0, "val_b": 1.0},
        {"state": "finished", "val_a": math.nan, "val_b": 1.0},
        {"state": "finished", "val_a": math.inf, "val_b": 1.0},
        {"state": "finished", "val_a": 1.0, "val_b": None},
        {"state": "finished", "val_a": 1.0},
        None,
    ],
    ids=str,
)
def test_a_trial_without_finite_objectives_is_told_fail_and_the_search_goes_on(bad):
    search = searcher(total=4)
    job = search.suggest("t0")["job"]
    search.on_trial_complete("t0", bad, error=bad is None)
    assert states(search)[0] == TrialState.FAIL
    assert search.means(search.configurations[job.configuration]) is None
    assert len(drive(search)) == 3
    assert Counter(states(search)) == {TrialState.FAIL: 1, TrialState.COMPLETE: 3}


def test_a_partly_failed_configuration_counts_with_its_finished_replicates():
    def score(job: Job) -> dict[str, Any]:
        return good(job) if job.seed != 1 else {"state": "diverged"}

    search = searcher(total=1, seeds=3)
    drive(search, score)
    assert search.study.trials[0].state == TrialState.COMPLETE
    assert search.study.trials[0].values == [pytest.approx(2.0), pytest.approx(0.0)]


def test_a_replicate_without_one_objective_counts_in_none():
    def score(job: Job) -> dict[str, Any]:
        return good(job) | ({"val_b": math.nan} if job.seed == 1 else {})

    search = searcher(total=1, seeds=2)
    drive(search, score)
    assert search.study.trials[0].values == [1.0, 1.0]


def test_a_trial_stopped_on_its_way_is_neither_ended_nor_told():
    """What Tune says of the trials in flight when the time is up: their last epoch, unfinished."""
    search = searcher(total=3, seeds=2)
    job = search.suggest("t0")["job"]
    search.on_trial_complete("t0", {"state": "running", "val_a": 1.0, "val_b": 1.0})
    assert search.configurations[job.configuration].ended == {}
    assert TrialState.COMPLETE not in states(search) and TrialState.FAIL not in states(search)


EVERY_SAMPLER = [pytest.param(name, marks=pytest.mark.slow if name == "gp" else ()) for name in sorted(SAMPLERS)]
"""A suggestion of the Gaussian process takes about a second."""


@pytest.mark.parametrize("sampler", EVERY_SAMPLER)
@pytest.mark.parametrize("slots", [1, 3])
def test_every_sampler_fills_the_kernel_space_and_leaves_nothing_running(sampler, slots):
    def score(job: Job) -> dict[str, Any]:
        return good(job) if job.number % 4 else {"state": "diverged"}

    search = searcher(SPACE, total=24, seeds=2, sampler=sampler)
    rows = drive(search, score, slots)
    assert len(rows) == 48 and len({(r["configuration"], r["seed"]) for r in rows}) == 48
    assert {r["label"] for r in rows[: 2 * len(CONTROLS)]} == {c.label for c in CONTROLS}
    counts = Counter(states(search))
    assert counts[TrialState.RUNNING] == counts[TrialState.WAITING] == 0
    assert counts[TrialState.COMPLETE] >= 18 and counts[TrialState.FAIL] >= 6


@pytest.mark.parametrize("sampler", EVERY_SAMPLER)
def test_every_sampler_goes_on_after_a_take_over(sampler):
    first = drive(searcher(SPACE, total=18, sampler=sampler))
    search = searcher(SPACE, total=30, sampler=sampler, history=first)
    rows = drive(search)
    assert len(rows) == 12
    assert not {r["configuration"] for r in first} & {r["configuration"] for r in rows}
    assert [r["number"] for r in rows] == list(range(18, 30))
    assert {r["label"] for r in rows} == {None}
    assert TrialState.RUNNING not in states(search)


def test_a_long_quasi_random_sequence_is_continued():
    first = drive(searcher(total=40, sampler="qmc"))
    search = searcher(total=45, sampler="qmc", history=first)
    assert len(drive(search)) == 5 and not search.exhausted


@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
def test_the_same_seed_draws_the_same_and_another_seed_something_else(sampler):
    def drawn(seed: int) -> list[str]:
        return [r["configuration"] for r in drive(searcher(total=8, sampler=sampler, sampler_seed=seed))]

    assert drawn(0) == drawn(0)
    if sampler != "qmc":  # the Sobol sequence has no seed
        assert drawn(0)[:2] == drawn(1)[:2]
        assert drawn(0)[2:] != drawn(1)[2:]


def test_a_better_objective_draws_the_search_towards_it():
    """One objective with its best at beta = 0.1: what tpe draws last is nearer to it than what it drew first."""

    def score(job: Job) -> dict[str, Any]:
        return {"state": "finished", "val_a": abs(math.log(job.params["beta"] / 0.1))}

    rows = drive(searcher(total=40, objectives=[("val_a", "min")]), score)
    early, late = rows[2:12], rows[-10:]
    means = [sum(r["val_a"] for r in part) / len(part) for part in (early, late)]
    assert means[1] < means[0] / 2


def test_what_the_study_has_already_is_not_trained_again_and_an_exhausted_space_ends():
    search = searcher(FINITE, total=50)
    rows = drive(search)
    assert sorted(r["params"]["latent"] for r in rows) == [2, 3, 5]
    assert search.exhausted and TrialState.RUNNING not in states(search)
    assert search.suggest("more") == search.FINISHED


def test_a_sampler_that_insists_on_its_favourite_does_not_end_the_search():
    class Stubborn(optuna.samplers.RandomSampler):
        def sample_independent(self, study, trial, name, distribution):
            return 0.5

    search = searcher(total=8)
    search.make_sampler = Stubborn
    betas = {row["params"]["beta"] for row in drive(search)}
    assert len(betas) == 8 and 0.5 in betas and not search.exhausted


def test_a_take_over_of_an_exhausted_space_ends_at_once():
    rows = drive(searcher(FINITE, total=50))
    search = searcher(FINITE, total=50, history=rows)
    assert drive(search) == [] and search.exhausted


def test_finished_trials_are_taken_over_and_the_total_stays_the_total():
    first = drive(searcher(total=6, seeds=2), limit=7)
    search = searcher(total=6, seeds=2, history=first)
    rows = drive(search)
    assert len(first) == 7 and len(rows) == 5
    names = [(r["configuration"], r["seed"]) for r in first + rows]
    assert len(set(names)) == 12
    assert rows[0]["configuration"] == first[-1]["configuration"] and rows[0]["seed"] == 1
    assert rows[0]["attempt"] == 1


def test_after_a_take_over_optuna_knows_what_it_knew():
    whole = searcher(total=5)
    rows = drive(whole)
    again = searcher(total=5, history=rows)
    assert [(t.params, t.values, t.state) for t in again.study.trials] == [
        (t.params, t.values, t.state) for t in whole.study.trials
    ]


def test_a_continued_search_does_not_draw_its_first_suggestions_again():
    first = drive(searcher(total=5, sampler="random"))
    more = drive(searcher(total=10, sampler="random", history=first))
    betas = [r["params"]["beta"] for r in first + more]
    assert len(set(betas)) == 10


@pytest.mark.parametrize("state", ["running", "cancelled"])
def test_interrupted_trials_come_first_with_the_next_attempt(state):
    first = drive(searcher(total=4))
    first[1] |= {"state": state, "attempt": 2}
    first[3] |= {"state": state}
    search = searcher(total=5, history=first)
    rows = drive(search)
    assert [(r["number"], r["attempt"]) for r in rows] == [(1, 3), (3, 2), (4, 1)]
    assert [r["configuration"] for r in rows[:2]] == [first[1]["configuration"], first[3]["configuration"]]
    assert rows[0]["label"] == "two" and rows[0]["origin"] == "paper"
    assert rows[0]["recipe"] == first[1]["recipe"]


@pytest.mark.parametrize("state", ["failed", "diverged", "stopped"])
def test_failed_diverged_and_stopped_trials_are_not_tried_again(state):
    first = drive(searcher(total=3), lambda job: {"state": state} if job.number == 1 else good(job))
    search = searcher(total=3, history=first)
    assert drive(search) == []
    told = TrialState.PRUNED if state == "stopped" else TrialState.FAIL
    assert states(search) == [TrialState.COMPLETE, told, TrialState.COMPLETE]


def test_a_control_that_no_session_got_to_is_still_trained():
    first = drive(searcher(total=6), limit=1)
    rows = drive(searcher(total=6, history=first))
    assert [r["label"] for r in rows] == ["two", None, None, None, None]
    assert [r["number"] for r in rows] == [1, 2, 3, 4, 5]


def test_history_in_any_order_is_the_same_history():
    first = drive(searcher(total=5, seeds=2))
    forward, backward = (searcher(total=6, seeds=2, history=h) for h in (first, first[::-1]))
    assert [t.params for t in forward.study.trials] == [t.params for t in backward.study.trials]
    assert drive(forward) == drive(backward)


def test_a_take_over_of_the_kernel_space_keeps_conditional_parameters_exactly():
    first = drive(searcher(SPACE, total=15))
    search = searcher(SPACE, total=15, history=first)
    assert drive(search) == []
    assert [dict(t.params) for t in search.study.trials] == [r["params"] for r in first]


def test_an_unknown_trial_of_tunes_is_no_matter():
    search = searcher(total=2)
    search.on_trial_complete("never suggested", {"state": "finished"})
    assert len(drive(search)) == 2


def test_nothing_is_drawn_before_there_is_room():
    search = searcher(total=6)
    search.room = lambda: 2
    first, second = search.suggest("a"), search.suggest("b")
    assert first and second and search.suggest("c") is None
    drawn = len(search.study.trials)
    assert search.suggest("c") is None and len(search.study.trials) == drawn
    search.on_trial_complete("a", good(first["job"]))
    assert search.suggest("c")["job"].trial not in (first["job"].trial, second["job"].trial)


def test_a_stopped_trial_is_told_pruned_without_values_and_gets_no_replicates():
    search = searcher(total=9, seeds=2, rungs=Rungs("halving", 9, OBJECTIVES))
    rows = drive(search)
    assert Counter(states(search)) == {TrialState.PRUNED: 6, TrialState.COMPLETE: 3}
    assert all(t.values is None for t in search.study.trials if t.state == TrialState.PRUNED)
    assert Counter((r["state"], r["seed"]) for r in rows) == {
        ("stopped", 0): 6, ("finished", 0): 3, ("finished", 1): 3,
    }  # fmt: skip
    again = searcher(total=9, seeds=2, rungs=Rungs("halving", 9, OBJECTIVES), history=rows)
    assert drive(again) == [] and states(again) == states(search)


def test_only_first_replicates_have_rungs():
    search = searcher(total=1, seeds=2, rungs=Rungs("halving", 9, OBJECTIVES))
    first = search.suggest("a")["job"]
    assert first.rungs == (1, 3) and search.suggest("b") is None
    search.on_trial_complete("a", good(first))
    assert search.suggest("b")["job"].rungs == ()


def straight(job: Job) -> dict[str, Any]:
    """No trade-off: a small beta is better in both; with half a percent of noise."""
    beta, noise = job.recipe["posterior"]["beta"], 1 + 0.005 * (-1) ** (job.seed + job.number)
    return {"state": "finished", "val_a": beta * noise, "val_b": noise / beta}


def test_a_race_gives_seeds_to_the_front_and_a_single_one_to_the_rest():
    search = searcher(total=30, seeds=3, sampler="random", race=True)
    rows = drive(search, straight)
    seeds = Counter(r["configuration"] for r in rows)
    best = min(rows, key=lambda r: r["params"]["beta"])
    worst = max(rows, key=lambda r: r["params"]["beta"])
    assert seeds[best["configuration"]] == 3 and seeds[worst["configuration"]] == 1
    assert len(rows) < 60 and search.planned == len(rows)
    assert Counter(states(search)) == {TrialState.COMPLETE: 30}


def test_after_a_race_every_configuration_on_the_front_has_all_seeds():
    def lucky(job: Job) -> dict[str, Any]:
        """The first control is far ahead by luck, and falls back with its second seed."""
        return straight(job) if job.number or job.seed else {"state": "finished", "val_a": 0.0, "val_b": 99.0}

    search = searcher(total=12, seeds=3, sampler="random", race=True)
    drive(search, lucky)
    for key in search._near_front():
        assert search.configurations[key].wanted == 3


def test_a_race_is_taken_over():
    first = drive(searcher(total=20, seeds=3, sampler="random", race=True), straight, limit=17)
    search = searcher(total=20, seeds=3, sampler="random", race=True, history=first)
    rows = drive(search, straight)
    names = [(r["configuration"], r["seed"]) for r in first + rows]
    assert len(set(names)) == len(names) == search.planned
    assert len({r["configuration"] for r in first + rows}) == 20
    assert TrialState.RUNNING not in states(search)


def test_closing_leaves_nothing_running():
    search = searcher(total=6)
    jobs = [search.suggest(f"t{i}")["job"] for i in range(3)]
    search.on_trial_complete("t0", good(jobs[0]))
    search.close()
    assert states(search)[:3] == [TrialState.COMPLETE, TrialState.FAIL, TrialState.FAIL]


def test_the_genetic_algorithm_keeps_its_generations_over_a_take_over():
    whole = searcher(total=60, sampler="nsga2")
    rows = drive(whole, slots=1)
    again = searcher(total=60, sampler="nsga2", history=rows)
    key = "NSGAIISampler:generation"
    assert [t.system_attrs[key] for t in again.study.trials] == [t.system_attrs[key] for t in whole.study.trials]
    assert again.study.trials[-1].system_attrs[key] >= 3


def test_more_epochs_train_what_had_finished_anew_and_leave_the_rest():
    ends = {1: {"state": "stopped"}, 2: {"state": "diverged"}}
    first = drive(searcher(total=4), lambda job: ends.get(job.number, good(job)))
    base = replace(BASE, optimisation=replace(BASE.optimisation, epochs=BASE.optimisation.epochs + 1))
    again = searcher(total=4, history=first, base=base)
    rows = drive(again)
    trained = [(r["number"], r["attempt"], r["recipe"]["optimisation"]["epochs"]) for r in rows]
    assert trained == [(0, 2, 51), (3, 2, 51)]
    assert {r["configuration"] for r in rows} <= {r["configuration"] for r in first}
    later = [r for r in first if r["number"] in ends] + rows
    assert drive(searcher(total=4, history=later, base=base)) == []
