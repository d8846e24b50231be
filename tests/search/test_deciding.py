"""Fresh seeds go where a claim or a place on the front is undecided, until all is decided or the budget is gone."""

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from driving import BASE, LINE, drive, searcher

from evae.search.claims import Comparison, Known, Stated
from evae.search.deciding import FEWEST, MOST, Deciding, known, rows_of, undecided_places
from evae.search.job import CONFIRM, FIRST_FRESH, Job
from evae.search.searcher import FINISHED, StudySearcher
from evae.search.simulator import Curves, simulate
from evae.search.verdicts import IN_VAIN, judge
from search_spaces.kernels import SPACE

ALONE = [("val_a", "min")]


def claim(left: str = "one", right: str = "two", less: bool = True, **when: Any) -> Stated:
    return Stated(Comparison(f"{left} {right}", left, right, less, 1.0, "a", "min"), "s", **when)


def deciding(*claims: Stated, until: bool = True, confirm: int = 0, objectives=ALONE, **more: Any) -> StudySearcher:
    budget = more.pop("budget", None)
    policy = Deciding(confirm, objectives, claims=claims, until_decided=until, budget=budget)
    return searcher(LINE, objectives=objectives, confirmation=policy, **{"total": 4, "sampler": "random"} | more)


def noisy(by: float, spread: float = 1.0):
    """Scores: beta times `by`, with noise of the seed alone and of the trial."""

    def score(job: Job) -> dict[str, Any]:
        random = np.random.default_rng([job.seed, job.number])
        value = 10 + by * job.params["beta"] + spread * random.normal()
        return {"state": "finished", "val_a": value, "a": value, "val_b": -value, "wall_s": 36.0}

    return score


def confirmed(rows: list[dict[str, Any]]) -> dict[str | None, list[int]]:
    found: dict[str | None, list[int]] = {}
    for row in rows:
        if row["role"] == CONFIRM:
            found.setdefault(row["label"], []).append(row["seed"])
    return found


def verdict(search: StudySearcher):
    return judge(search.confirmation.claims, rows_of(search.configurations))[0]


def test_both_sides_of_a_claim_get_fresh_seeds_whatever_the_search_has_chosen():
    rows = drive(deciding(claim(), until=False), noisy(1))
    assert confirmed(rows) == {name: [FIRST_FRESH, FIRST_FRESH + 1] for name in ("one", "two")}
    assert FEWEST == 2
    rows = drive(deciding(claim(), until=False, confirm=3), noisy(1))
    assert all(seeds == [1000, 1001, 1002] for seeds in confirmed(rows).values())


def test_one_seed_after_the_other_is_given_to_both_sides_until_the_claim_is_decided():
    search = deciding(claim(), total=2)
    rows = drive(search, noisy(1.5))
    seeds = confirmed(rows)
    assert seeds["one"] == seeds["two"] == list(range(1000, 1000 + len(seeds["one"]))) and 3 < len(seeds["one"]) < MOST
    assert verdict(search).said == "holds" and search.suggest("more") == FINISHED
    assert search.confirmation.ending(search.configurations) == "All is decided."
    # One seed less had not decided it.
    last = [row for row in rows_of(search.configurations) if row["seed"] < seeds["one"][-1]]
    assert not judge([claim()], last)[0].decided


def test_what_cannot_be_decided_ends_with_the_most_seeds_and_says_so():
    search = deciding(claim())
    assert {len(s) for label, s in confirmed(drive(search, noisy(0))).items() if label} == {MOST}
    assert "Undecided: 1 of 1 claims" in (said := search.confirmation.ending(search.configurations))
    assert said.endswith(f"without --budget, {MOST} fresh seeds each are the most.")


def test_a_budget_of_hours_ends_it_and_without_it_there_would_be_more():
    search = deciding(claim(), budget=0.7, total=2)
    rows = drive(search, noisy(0))
    # A trial takes a hundredth of an hour; the last round of two begins below the budget.
    assert 70 <= len(rows) <= 71
    said = search.confirmation.ending(search.configurations)
    assert said.endswith("the budget of 0.7 hours of training is spent (0.7).")
    assert len(drive(deciding(claim(), budget=0.01, total=2), noisy(0))) == 6


def test_identical_models_a_side_that_fails_and_one_configuration_twice_are_given_up():
    same = deciding(claim())
    seeds = confirmed(drive(same, noisy(0, spread=0)))
    assert len(seeds["one"]) == IN_VAIN and verdict(same).why == "the difference is 0 at every seed"
    assert "more seeds would not decide it" in same.confirmation.ending(same.configurations)

    def fails(job: Job) -> dict[str, Any]:
        return {"state": "diverged"} if job.label == "two" and job.role == CONFIRM else noisy(1)(job)

    failing = deciding(claim())
    assert len(confirmed(drive(failing, fails))["two"]) == IN_VAIN
    assert verdict(failing).why == f"two has no value of this at any of its {IN_VAIN} fresh seeds (diverged)"
    twice = deciding(claim("best method gaussian", "one"), total=1)
    assert confirmed(drive(twice, noisy(1))) == {} and "same configuration" in verdict(twice).why


def test_a_best_is_named_by_the_search_before_its_fresh_seeds():
    search = deciding(claim("best method gaussian", "two"), total=8)
    rows = drive(search, noisy(3, spread=0.1))
    best = min((row for row in rows if row["role"] != CONFIRM), key=lambda row: row["val_a"])
    assert verdict(search).left == best["configuration"] and verdict(search).said == "holds"
    order = [row["role"] for row in rows]
    assert order == sorted(order, key=lambda role: role == CONFIRM)


def test_a_claim_that_came_later_has_as_many_seeds_of_its_own():
    first = drive(deciding(claim(), until=False), noisy(3))
    late = claim(trials=len(first), first_seed=FIRST_FRESH + 2)
    search = deciding(late, until=False, history=first)
    assert confirmed(drive(search, noisy(3))) == {name: [FIRST_FRESH + 2, FIRST_FRESH + 3] for name in ("one", "two")}
    assert verdict(search).n == 2


@pytest.mark.parametrize("broken_at", [1, 5, 9, 14, 20])
def test_a_study_broken_off_at_any_moment_goes_on_to_the_same_verdict(broken_at):
    whole = drive(deciding(claim()), noisy(1.5), slots=1)
    rows = drive(deciding(claim()), noisy(1.5), slots=1, limit=broken_at)
    again = deciding(claim(), history=json.loads(json.dumps(rows)))
    rows += drive(again, noisy(1.5), slots=1)
    assert {(row["label"], row["seed"]) for row in rows} == {(row["label"], row["seed"]) for row in whole}
    assert len(rows) == len(whole) and verdict(again).decided


def trade_off(job: Job) -> dict[str, Any]:
    """The controls one and two are far apart; each other configuration is as good as one in both, but for noise."""
    random = np.random.default_rng([job.seed, job.number])
    a, b = (1.0, 3.0) if job.label == "two" else (3.0, 1.0)
    return {"state": "finished", "val_a": a + 0.1 * random.normal(), "val_b": b + 0.1 * random.normal()}


def test_places_on_the_front_that_are_undecided_get_seeds_and_those_that_are_clear_do_not():
    objectives = [("val_a", "min"), ("val_b", "min")]
    search = deciding(objectives=objectives, confirm=3, total=2)
    assert set(map(len, confirmed(drive(search, trade_off)).values())) == {3}
    assert search.confirmation.ending(search.configurations) == "All is decided."
    search = deciding(objectives=objectives, confirm=3, total=3)
    seeds = confirmed(drive(search, trade_off))
    assert len(seeds["two"]) == 3 and len(seeds["one"]) > 3
    open_places = {search.configurations[key].label for key in undecided_places(search.configurations, objectives)}
    assert "two" not in open_places


def test_seconds_of_recorded_trials_are_the_same_budget_in_the_simulator():
    trained = replace(BASE, optimisation=replace(BASE.optimisation, epochs=1))
    rows = []
    for number, beta in enumerate((1.0, 2.0)):
        key = LINE.recipe({"beta": beta}, trained).configuration()
        random = np.random.default_rng(number)
        for seed in (0, *range(FIRST_FRESH, FIRST_FRESH + 60)):
            value = 10.0 + random.normal()
            rows.append({"configuration": key, "seed": seed, "epoch": 1, "train_s": 36.0, "a": value, "val_a": value})
    search = deciding(claim(), total=2, budget=0.3, base=trained)
    events = list(simulate(search, Curves(rows), slots=2))
    assert len(events) == 30 and not math.isnan(verdict(search).size)


def test_claims_can_be_about_what_a_space_holds():
    found = known(SPACE, BASE, SPACE.recipes(BASE), 3, ("lite", None))
    assert isinstance(found, Known) and found.labels == ("EVAE, paper (B = 0.1)", "VAE", "autoencoder")
    assert {"evae", "gaussian"} <= set(found.methods) and {"cosine", "gaussian"} <= set(found.kernels)
    assert {"kernel", "beta", "bandwidth"} <= set(found.parameters)
