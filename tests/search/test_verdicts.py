"""What trials say of claims."""

import math
from typing import Any

import numpy as np
import pytest

from evae.search.claims import Comparison, Explained, Stated
from evae.search.job import CONFIRM, FIRST_FRESH, SEARCH
from evae.search.verdicts import FAILS, HOLDS, UNDECIDED, evidence, judge, taking


def trial(number: int, seed: int, value: float, **more: Any) -> dict[str, Any]:
    """A trial of configuration `number`; seeds from FIRST_FRESH on confirm."""
    row = {"configuration": f"k{number}", "number": number, "label": f"c{number}", "origin": "control", "seed": seed}
    row |= {"role": CONFIRM if seed >= FIRST_FRESH else SEARCH, "state": "finished", "method": "gaussian"}
    row |= {"kernel": None, "params": {}, "fd": value, "val_fd": value, "wall_s": 90.0, "threads": 2, "workers": 1}
    return row | more


def fresh(number: int, values: Any, **more: Any) -> list[dict[str, Any]]:
    return [trial(number, FIRST_FRESH + i, value, **more) for i, value in enumerate(values)]


def stated(left: str = "c0", right: str = "c1", less: bool = True, factor: float = 1.0, **when: Any) -> Stated:
    return Stated(Comparison("claim", left, right, less, factor, "fd", "min"), "s", **when)


def only(claim: Stated, rows: list[dict[str, Any]]):
    return judge([claim], rows)[0]


NOISE = np.random.default_rng(0).normal(size=40)
SHARED = np.random.default_rng(1).normal(size=40)


def test_a_difference_at_the_same_seeds_holds_or_does_not_and_has_its_size():
    rows = fresh(0, 40 + 3 * SHARED[:8] + NOISE[:8] / 2) + fresh(1, 50 + 3 * SHARED[:8])
    found = only(stated(), rows)
    assert (found.said, found.n, found.names) == (HOLDS, 8, ("c0", "c1")) and found.low < found.size < found.high < 0
    assert found.size == pytest.approx(-10, abs=0.5) and found.relative == pytest.approx(-0.2, abs=0.02)
    assert only(stated(less=False), rows).said == FAILS
    # Unpaired, seeds that differ so would not tell.
    shuffled = fresh(0, 40 + 9 * SHARED[7::-1]) + fresh(1, 50 + 9 * SHARED[:8])
    assert only(stated(), shuffled).said == UNDECIDED


def test_a_margin_is_a_share_of_the_right_side():
    rows = fresh(0, 40 + NOISE[:12]) + fresh(1, 50 + NOISE[12:24])
    assert only(stated(factor=0.9), rows).said == HOLDS and only(stated(factor=0.7), rows).said == FAILS
    assert only(stated(factor=0.9), rows).size == pytest.approx(-5, abs=1)


def test_what_is_undecided_says_what_deciding_would_take():
    rows = fresh(0, 49 + 2 * NOISE[:5]) + fresh(1, 50 + 2 * NOISE[5:10])
    found = only(stated(), rows)
    assert found.said == UNDECIDED and found.why == "" and found.low < 0 < found.high
    assert found.more >= 1 and found.hours == pytest.approx(found.more * 2 * 90 * 2 / 3600) and found.on == "core"
    # Were all further seeds as those so far, so many would decide it, and half as many would not.
    for n, decided in ((int(found.more) + 5, True), (int(found.more) // 2, False)):
        again = fresh(0, np.resize(49 + 2 * NOISE[:5], n)) + fresh(1, np.resize(50 + 2 * NOISE[5:10], n))
        assert only(stated(), again).decided == decided


def test_several_claims_share_the_error():
    rows = fresh(0, 40 + NOISE[:5]) + fresh(1, 50 + NOISE[5:10])
    one, (of_many, *_) = only(stated(), rows), judge([stated()] * 20, rows)
    assert of_many.low < one.low and one.high < of_many.high


def test_a_seed_counts_where_both_sides_ran_on_the_same_device_and_in_the_same_arithmetic():
    """A device may make a difference of its own, which is none of the claim's."""
    cpu, gpu = {"device": "cpu", "precision": "fp32"}, {"device": "cuda", "precision": "fp32"}
    left = fresh(0, 40 + NOISE[:12], **cpu)
    mixed = fresh(1, 50 + NOISE[12:20], **cpu) + [row | gpu for row in fresh(1, 50 + NOISE[12:24])[8:]]
    found = only(stated(), left + mixed)
    assert (found.n, found.apart, found.said) == (8, 4, HOLDS)
    assert evidence(found) == "8 fresh seeds, 4 more on different devices left out"
    other = only(stated(), left + fresh(1, 50 + NOISE[12:24], **gpu))
    assert (other.said, other.n, other.apart, other.is_in_vain) == (UNDECIDED, 0, 12, False)
    assert taking(other) == "its sides ran on different devices"
    assert only(stated(), left + fresh(1, 50 + NOISE[12:24], **cpu | {"precision": "bf16"})).apart == 12
    # What an earlier version did not write down is not held against it.
    assert only(stated(), left + fresh(1, 50 + NOISE[12:24])).n == 12


def test_a_search_s_own_seeds_and_trials_under_way_are_no_evidence():
    rows = [trial(n, seed, 40 + 10 * n + seed / 10) for n in (0, 1) for seed in range(8)]
    found = only(stated(), rows)
    assert (found.said, found.n, found.why) == (UNDECIDED, 0, "no fresh seed has been trained of both")
    under_way = fresh(0, 40 + NOISE[:8]) + fresh(1, 50 + NOISE[:8], state="running")
    assert only(stated(), rows + under_way).n == 0


def test_of_a_claim_stated_later_only_what_came_after_it_counts():
    rows = fresh(0, 40 + NOISE[:9]) + fresh(1, 50 + NOISE[10:19])
    assert only(stated(), rows).said == HOLDS
    late = only(stated(trials=20, first_seed=FIRST_FRESH + 8), rows)
    assert (late.said, late.n) == (UNDECIDED, 1)
    none = only(stated(trials=20, first_seed=FIRST_FRESH + 9), rows)
    assert none.why == "no fresh seed has been trained of both since the claim was stated"


@pytest.mark.parametrize(
    ("left", "right", "why", "more"),
    [
        ([50, 51, 52, 49, 50], [50, 51, 52, 49, 50], "the difference is 0 at every seed", math.inf),
        ([50], [51], "one seed says nothing of the noise", math.nan),
        ([math.nan, math.nan], [51, 52], "c0 has no value of this at any of its 2 fresh seeds", math.nan),
        ([51, 52], [math.inf], "c1 has no value of this at its one fresh seed", math.nan),
        ([51, 52], [], "no fresh seed has been trained of both", math.nan),
    ],
)
def test_what_keeps_a_claim_undecided_is_said(left, right, why, more):
    rows = [trial(0, 0, 50.0), trial(1, 0, 50.0), *fresh(0, left), *fresh(1, right)]
    found = only(stated(), rows)
    assert (found.said, found.why) == (UNDECIDED, why)
    assert found.more == pytest.approx(more, nan_ok=True)


def test_a_side_that_always_fails_is_named_with_how():
    rows = fresh(0, [1, 2]) + fresh(1, [None, None], state="diverged")
    assert only(stated(), rows).why == "c1 has no value of this at any of its 2 fresh seeds (diverged)"
    some = fresh(0, 40 + NOISE[:9]) + fresh(1, 50 + NOISE[:9])
    some[12] |= {"state": "failed", "fd": None}
    assert (only(stated(), some).said, only(stated(), some).n) == (HOLDS, 8)
    assert only(stated(left="gone"), some).why == "gone has not been trained"


def test_a_rate_that_is_no_divergence_is_no_value():
    claim = Stated(Comparison("claim", "c0", "c1", True, 1.0, "rate_nats", "min"), "s")
    rows = fresh(0, [1, 2], rate_nats=1.0, rate_is="bound") + fresh(1, [1, 2], rate_nats=2.0, rate_is="exact")
    assert only(claim, rows).why == "c0 has no value of this at any of its 2 fresh seeds"


def test_constant_values_that_differ_are_told_apart():
    assert only(stated(), fresh(0, [1, 1, 1]) + fresh(1, [2, 2, 2])).said == HOLDS
    assert only(stated(), fresh(0, [1, 1, 1]) + fresh(1, [1, 1, 1 + 1e-9])).said == UNDECIDED


def test_the_best_is_chosen_by_the_search_and_not_by_its_fresh_seeds():
    evae = {"method": "evae", "kernel": "cosine", "label": None, "origin": "searched"}
    rows = [
        trial(2, 0, 30, **evae),
        trial(3, 0, 20, **evae),
        trial(4, 0, 10, **evae, state="diverged"),
        trial(1, 0, 99),
    ]
    rows += fresh(2, 10 + NOISE[:6], **evae) + fresh(3, 40 + NOISE[:6], **evae) + fresh(1, 50 + NOISE[6:12])
    for side in ("best method evae", "best kernel cosine"):
        found = only(stated(left=side), rows)
        assert found.left == "k3" and found.names[0] == "#3 cosine" and found.size > -20
    highest = Comparison("claim", "best method evae", "c1", True, 1.0, "fd", "max")
    assert only(Stated(highest, "s"), rows).left == "k2"
    assert only(stated(left="best kernel none"), rows).why == "best kernel none has not been trained"
    same = only(stated(left="best method gaussian"), rows)
    assert same.why == "both sides are the same configuration"


def explained(share: float, n: int, **more: Any) -> list[dict[str, Any]]:
    random = np.random.default_rng(2)
    kernels = random.choice(["a", "b", "c"], n)
    values = share * np.searchsorted(["a", "b", "c"], kernels) + random.normal(size=n)
    of = {"origin": "searched", "label": None} | more
    return [trial(i, 0, values[i], params={"kernel": str(kernels[i])}, **of) for i in range(n)]


@pytest.mark.parametrize(("effect", "less", "said"), [(0, True, HOLDS), (3, True, FAILS), (3, False, HOLDS)])
def test_what_a_parameter_explains(effect, less, said):
    claim = Stated(Explained("claim", "kernel", less, 0.15, "fd", "min"), "s")
    found = judge([claim], explained(effect, 160))[0]
    assert found.said == said and found.n == 160 and found.low <= found.size <= found.high
    late = judge([Stated(claim.claim, "t", trials=150, first_number=150)], explained(effect, 160))[0]
    assert (late.said, late.n, late.why) == (UNDECIDED, 10, "it is first looked at with 20 configurations")
    assert [evidence(v) for v in (found, late)] == ["160 configurations", "10 configurations"]
    between = judge([claim], explained(effect, 150))[0]
    assert evidence(between) == "150 configurations, 80 at the last look"


def test_in_a_grid_what_other_parameters_explain_is_no_noise():
    claim = Stated(Explained("claim", "kernel", True, 0.05, "fd", "min"), "s")
    width = np.random.default_rng(3).uniform(size=160)
    rows = [
        row | {"val_fd": row["val_fd"] / 10 + 5 * width[i], "params": row["params"] | {"width": width[i], "same": 1}}
        for i, row in enumerate(explained(0, 160))
    ]
    searched, (grid,) = judge([claim], rows)[0], judge([claim], [row | {"origin": "grid"} for row in rows])
    assert (searched.said, grid.said) == (UNDECIDED, HOLDS)
    assert grid.high < searched.high / 5 and grid.low <= grid.size <= grid.high and grid.n == 160
    few = judge([claim], [row | {"origin": "grid"} for row in rows[:18]])[0]
    assert few.said == UNDECIDED and few.more == 2


def test_a_share_counts_what_was_drawn_with_that_parameter_by_the_search_s_own_seeds():
    claim = Stated(Explained("claim", "kernel", True, 0.1, "fd", "min"), "s")
    rows = explained(0, 30) + explained(5, 30, origin="control", label="x")
    rows += [row | {"seed": 1000, "role": CONFIRM} for row in explained(5, 30)]
    rows += [trial(n, 0, 1.0, origin="searched", params={"beta": 1.0}) for n in range(40, 60)]
    found = judge([claim], rows)[0]
    assert found.n == 30 and found.said == UNDECIDED and found.n + found.more in (40, 80, 160, 320)
    assert judge([claim], [])[0].why == "fewer than two values of kernel have been tried"
