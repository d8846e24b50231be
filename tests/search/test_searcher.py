"""The search without Ray: what is suggested, and what Optuna is told."""

import math
from collections import Counter
from typing import Any

import optuna
import pytest
from driving import EVERY_SAMPLER, FINITE, OBJECTIVES, drive, good, searcher, states, straight
from optuna.trial import TrialState

from evae.recipe import Recipe
from evae.search.job import Job
from evae.search.rungs import Rungs
from evae.search.samplers import sampler as samplers
from evae.search.searcher import FINISHED
from search_spaces.kernels import CONTROLS, SPACE


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
    first, second = (search.suggest(f"t{i}") for i in range(2))
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
        {"state": "failed"},
    ],
    ids=str,
)
def test_a_trial_without_finite_objectives_is_told_fail_and_the_search_goes_on(bad):
    search = searcher(total=4)
    job = search.suggest("t0")
    search.on_trial_complete("t0", bad)
    assert states(search)[0] == TrialState.FAIL
    assert search.means(search.configurations[job.configuration]) is None
    assert len(drive(search)) == 3
    assert Counter(states(search)) == {TrialState.FAIL: 1, TrialState.COMPLETE: 3}


@pytest.mark.parametrize("kind", ["bound", "none"])
def test_a_rate_that_is_no_divergence_is_told_fail_however_small(kind):
    search = searcher(total=3, objectives=[("val_rate_nats", "min")])
    for i, rate in enumerate((0.0, 20.0, 30.0)):
        search.suggest(f"t{i}")
        row = {"state": "finished", "val_rate_nats": rate, "val_rate_is": "exact" if i else kind}
        search.on_trial_complete(f"t{i}", row)
    assert states(search) == [TrialState.FAIL, TrialState.COMPLETE, TrialState.COMPLETE]
    assert search.study.best_value == 20.0


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
    job = search.suggest("t0")
    search.on_trial_complete("t0", {"state": "running", "val_a": 1.0, "val_b": 1.0})
    assert search.configurations[job.configuration].ended == {}
    assert TrialState.COMPLETE not in states(search) and TrialState.FAIL not in states(search)


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


@pytest.mark.parametrize("sampler", sorted(samplers))
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
    assert states(search).count(TrialState.COMPLETE) == 3  # what was drawn again was not told again
    assert search.suggest("more") == FINISHED


def test_a_sampler_that_insists_on_its_favourite_does_not_end_the_search():
    class Stubborn(optuna.samplers.RandomSampler):
        def sample_independent(self, study, trial, name, distribution):
            return 0.5

    search = searcher(total=8)
    search.make_sampler = Stubborn
    betas = {row["params"]["beta"] for row in drive(search)}
    assert len(betas) == 8 and 0.5 in betas and not search.exhausted


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
    search.on_trial_complete("a", good(first))
    assert search.suggest("c").trial not in (first.trial, second.trial)


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
    first = search.suggest("a")
    assert first.rungs == (1, 3) and search.suggest("b") is None
    search.on_trial_complete("a", good(first))
    assert search.suggest("b").rungs == ()


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
    wanted = {search.configurations[key].wanted for key in search.race.near()}
    assert wanted == {3}


def test_closing_leaves_nothing_running():
    search = searcher(total=6)
    jobs = [search.suggest(f"t{i}") for i in range(3)]
    search.on_trial_complete("t0", good(jobs[0]))
    search.close()
    assert states(search)[:3] == [TrialState.COMPLETE, TrialState.FAIL, TrialState.FAIL]
