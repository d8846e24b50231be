"""What the search has chosen is trained with fresh seeds, of which it hears nothing."""

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from driving import BASE, FINITE, LINE, OBJECTIVES, drive, good, searcher, states
from optuna.trial import TrialState

from evae.search.confirmation import Confirmation, chosen
from evae.search.job import CONFIRM, SEARCH, Job
from evae.search.pareto import dominates, nondominated
from evae.search.searcher import FINISHED, StudySearcher
from evae.search.space import Control, Space
from search_spaces.kernels import CONTROLS, SPACE


def confirming(fresh: int = 2, race: bool = False, space=LINE, **more: Any) -> StudySearcher:
    objectives = more.get("objectives", OBJECTIVES)
    return searcher(space, confirmation=Confirmation(fresh, objectives, race), **more)


def named(rows: list[dict[str, Any]], role: str = CONFIRM) -> list[tuple[int, int]]:
    return [(row["number"], row["seed"]) for row in rows if row["role"] == role]


def low(job: Job) -> dict[str, Any]:
    """A small beta is better in both objectives, whatever the seed."""
    beta = job.recipe["posterior"]["beta"]
    return {"state": "finished", "val_a": beta, "val_b": -beta}


def test_the_chosen_get_the_same_fresh_seeds_after_all_that_the_search_trains():
    search = confirming(total=8, seeds=2)
    rows = drive(search, low)
    best = min(rows, key=lambda row: row["params"]["beta"])["number"]
    assert [row["role"] for row in rows] == [SEARCH] * 16 + [CONFIRM] * (len(rows) - 16)
    keys = sorted({0, 1, best})  # the controls and the one that beats all
    assert named(rows) == [(number, seed) for seed in (1000, 1001) for number in keys]
    assert all(row["recipe"]["seed"] == row["seed"] and row["attempt"] == 1 for row in rows)
    assert search.planned == search.done == len(rows) and search.suggest("more") == FINISHED


def test_nothing_is_confirmed_before_the_last_trial_of_the_search_has_ended():
    search = confirming(total=2)
    first, second = search.suggest("a"), search.suggest("b")
    search.on_trial_complete("a", good(first))
    assert search.suggest("c") is None
    search.on_trial_complete("b", good(second))
    assert search.suggest("c").role == CONFIRM


def test_optuna_and_the_means_hear_of_the_search_alone():
    plain, search = searcher(total=6, seeds=2), confirming(total=6, seeds=2)
    rows, more = drive(plain), drive(search)
    assert more[: len(rows)] == rows and len(more) > len(rows)
    assert [(t.params, t.values, t.state) for t in search.study.trials] == [
        (t.params, t.values, t.state) for t in plain.study.trials
    ]
    for key, configuration in search.configurations.items():
        assert search.means(configuration) == plain.means(plain.configurations[key])


def test_the_front_the_controls_and_the_best_of_each_method_and_kernel_are_chosen():
    rng = np.random.default_rng(1)
    search = searcher(SPACE, total=60, sampler="random")
    drive(search, lambda job: {"state": "finished", "val_a": rng.random(), "val_b": rng.random()})
    keys = chosen(search.configurations, OBJECTIVES)
    values = {key: search.means(c) for key, c in search.configurations.items()}
    points = np.array([[a, -b] for a, b in values.values()])
    must = {key for key, is_dominated in zip(values, dominates(points).any(axis=0), strict=True) if not is_dominated}
    must |= {key for key, c in search.configurations.items() if c.label}
    recipes = {key: c.recipe.posterior for key, c in search.configurations.items()}
    for of in (lambda posterior: posterior.family, lambda posterior: getattr(posterior, "kernel", None)):
        for name in set(map(of, recipes.values())):
            members = [key for key, posterior in recipes.items() if of(posterior) == name]
            must |= {min(members, key=lambda key: values[key][0]), max(members, key=lambda key: values[key][1])}
    assert set(keys) == must and len(CONTROLS) < len(keys) < 40
    assert keys == [key for key in search.configurations if key in must]


def test_what_is_not_dominated_is_what_nothing_dominates():
    rng = np.random.default_rng(2)
    for shape in ((0, 2), (1, 1), (40, 1), (60, 2), (60, 3)):
        values = rng.integers(0, 6, shape).astype(float)  # with ties and duplicates
        assert (nondominated(values) == ~dominates(values).any(axis=0)).all()


@pytest.mark.parametrize("lost", [{"state": "diverged"}, {"state": "failed"}, {"state": "finished", "val_a": None}])
def test_a_lost_fresh_seed_has_no_other_in_its_place(lost):
    search = confirming(3, total=4)
    rows = drive(search, lambda job: lost if job.seed == 1001 else low(job))
    assert Counter(row["state"] for row in rows if row["seed"] == 1001) == {lost["state"]: 3}
    assert Counter(seed for _, seed in named(rows)) == {1000: 3, 1001: 3, 1002: 3}
    assert drive(confirming(3, total=4, history=rows), low) == []


def test_where_all_have_failed_but_one_that_one_is_confirmed():
    search = confirming(total=5)
    rows = drive(search, lambda job: low(job) if job.number == 3 else {"state": "failed"})
    assert named(rows) == [(3, 1000), (3, 1001)] and search.planned == search.done == 7


def test_where_all_have_failed_nothing_is():
    search = confirming(total=5)
    assert named(drive(search, lambda job: {"state": "failed"})) == []
    assert search.suggest("more") == FINISHED and search.planned == search.done == 5


@pytest.mark.parametrize("race", [False, True])
def test_a_single_configuration_is_confirmed(race):
    rows = drive(confirming(3, race, total=1), low)
    assert named(rows) == [(0, 1000), (0, 1001), (0, 1002)]


@pytest.mark.parametrize("race", [False, True])
def test_identical_models_are_all_the_best(race):
    search = confirming(3, race, total=5)
    rows = drive(search, lambda job: {"state": "finished", "val_a": 1.0, "val_b": 1.0})
    assert len(named(rows)) == 15 and search.suggest("more") == FINISHED


def test_a_grid_and_an_exhausted_space_are_confirmed_too():
    points = tuple(Control(f"{latent}", {"latent": latent}, origin="grid") for latent in (2, 3, 5))
    for space, exhausted in ((FINITE, True), (Space(FINITE.suggest, points, is_grid=True), False)):
        search = confirming(1, space=space, total=3 if space.is_grid else 50)
        rows = drive(search, lambda job: {"state": "finished", "val_a": job.recipe["latent"], "val_b": 0.0})
        # The points of a grid are no controls.
        assert {row["recipe"]["latent"] for row in rows if row["role"] == CONFIRM} == ({2, 3} if exhausted else {2})
        assert search.exhausted == exhausted and search.suggest("more") == FINISHED


def test_a_race_gives_more_fresh_seeds_to_what_may_be_the_best():
    def noisy(job: Job) -> dict[str, Any]:
        value = job.recipe["posterior"]["beta"] + 0.01 * np.random.default_rng(job.seed + job.number).normal()
        return {"state": "finished", "val_a": value, "val_b": -value}

    search = confirming(6, race=True, total=8)
    rows = drive(search, noisy)
    best = min(rows, key=lambda row: row["params"]["beta"])["number"]
    assert Counter(number for number, _ in named(rows)) == {0: 2, 1: 2, best: 6}
    assert search.planned == search.done == len(rows)
    again = confirming(6, race=True, total=8, history=rows)
    assert drive(again, noisy) == []


@pytest.mark.parametrize("race", [False, True])
@pytest.mark.parametrize("slots", [1, 3])
def test_a_study_killed_at_any_moment_ends_as_one_that_was_not(race, slots):
    def make(**more: Any) -> StudySearcher:
        return confirming(4, race, total=7, seeds=2, sampler="random", **more)

    whole = drive(make(), slots=slots)
    for limit in range(len(whole) + 1):
        first = drive(make(), slots=slots, limit=limit)
        if first:
            first[-1] |= {"state": "cancelled"}
        search = make(history=first)
        rows = drive(search, slots=slots)
        kept = [row for row in first if row["state"] == "finished"] + rows
        assert sorted(map(trained, kept)) == sorted(map(trained, whole))
        assert search.planned == search.done == len(whole) and TrialState.RUNNING not in states(search)
        if first:
            again = next(row for row in rows if trained(row) == trained(first[-1]))
            assert again["attempt"] == 2 and again["role"] == first[-1]["role"]


def trained(row: dict[str, Any]) -> tuple[str, int]:
    return row["configuration"], row["seed"]


def test_an_interrupted_fresh_seed_is_not_asked_for_twice_in_a_session():
    """What Tune says of a trial that it has given up: its last epoch."""
    search = confirming(1, total=1)
    search.on_trial_complete("a", good(search.suggest("a")))
    assert search.suggest("b").role == CONFIRM
    search.on_trial_complete("b", {"state": "running"})
    assert search.suggest("c") == FINISHED and search.done < search.planned


def test_rows_of_older_stores_belong_to_the_search_and_can_be_confirmed_now():
    first = drive(searcher(total=5, seeds=2), low)
    for row in first:
        del row["role"]
    rows = drive(confirming(total=5, seeds=2, history=first), low)
    assert {row["role"] for row in rows} == {CONFIRM} and len(rows) == 6


def test_more_trials_that_move_the_front_are_confirmed_too_and_more_fresh_seeds_are_added():
    first = drive(confirming(total=4, sampler="random"), low)
    search = confirming(3, total=12, sampler="random", history=first)
    rows = drive(search, low)
    best = min(first + rows, key=lambda row: row["params"]["beta"])["number"]
    before = {number for number, _ in named(first)}
    assert best not in before
    # What is no longer chosen keeps its two.
    assert Counter(number for number, _ in named(first + rows)) == {0: 3, 1: 3, best: 3} | {
        number: 2 for number in before - {0, 1}
    }
    assert search.planned == search.done == len(first + rows)


def test_more_seeds_of_the_search_do_not_take_those_that_are_fresh():
    first = drive(confirming(total=4), low)
    rows = drive(confirming(total=4, seeds=3, history=first), low)
    assert sorted(named(rows, SEARCH)) == [(number, seed) for number in range(4) for seed in (1, 2)]
    assert named(rows) == []


def test_more_epochs_train_what_is_chosen_anew_with_the_same_fresh_seeds():
    first = drive(confirming(total=4), low)
    base = replace(BASE, optimisation=replace(BASE.optimisation, epochs=BASE.optimisation.epochs + 1))
    rows = drive(confirming(total=4, base=base, history=first), low)
    assert sorted(map(trained, rows)) == sorted(map(trained, first))
    assert {(row["attempt"], row["recipe"]["optimisation"]["epochs"]) for row in rows} == {(2, 51)}


def test_planned_trials_count_what_would_be_confirmed_now():
    search = confirming(total=6)
    assert search.planned == 6 + 2 * 2  # the controls
    seen = set()
    for i in range(6):
        search.on_trial_complete(f"{i}", low(search.suggest(f"{i}")))
        seen.add(search.planned)
    assert seen <= {6 + 2 * 2, 6 + 2 * 3} and search.planned == search.done + len(drive(search, low))


def test_a_control_that_is_another_one_does_not_keep_a_study_from_its_end():
    twice = Space(LINE.suggest, (*LINE.controls, Control("one again", {"beta": 1.0})))
    search = confirming(space=twice, total=5)
    rows = drive(search, low)
    assert {row["label"] for row in rows} == {"one", "two", None} and search.planned == search.done == len(rows)
