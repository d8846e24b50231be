"""What a rung is known to see: the test of an order, and rungs that learn it trial by trial."""

import pickle
from typing import Any

import numpy as np
import pytest

from evae.search.foresight import ERROR, LOOKS, allowed, look
from evae.search.rungs import SPARED, Rungs, is_spared

TWO = [("val_a", "min"), ("val_b", "max")]
EPOCHS = 9


def pairs(n: int, correlation: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    early, own = np.random.default_rng(seed).normal(size=(2, n))
    return early, correlation * early + np.sqrt(1 - correlation**2) * own


def ever_seen(correlation: float, seed: int, most: int = 60) -> bool:
    early, final = pairs(most, correlation, seed)
    return any(look(early[:n], final[:n]).sees for n in LOOKS if n <= most)


def by_chance(most: int, draws: int) -> float:
    """Share of draws in which an order of chance passes the test at one look or another; of what is seen, `LEAST` takes
    off still more. Of n values without ties all orders are equally likely, so that the number of pairs that are not in
    the same order is a sum of numbers that are evenly spread over 0 to k - 1, k = 1 ... n."""
    early, final = np.random.default_rng(7).random((2, draws, most))
    apart, ever, likely = np.zeros(draws, int), np.zeros(draws, bool), np.ones(1)
    for n in range(2, most + 1):
        news = (early[:, : n - 1] < early[:, n - 1 : n]) != (final[:, : n - 1] < final[:, n - 1 : n])
        apart, likely = apart + news.sum(axis=1), np.convolve(likely, np.ones(n)) / n
        if n in LOOKS:
            ever |= np.cumsum(likely)[apart] <= allowed(n)
    return ever.mean()


def test_an_order_that_says_nothing_is_hardly_ever_taken_to_say_something_however_often_one_looks():
    assert 0.03 < by_chance(most=100, draws=10_000) <= ERROR
    assert not any(ever_seen(-0.9, seed) for seed in range(20))


def test_the_test_is_kendalls_exact_one():
    """Of 720 orders of 6, one has no pair apart, 5 have one and 14 have two: 20 of them are 0.028, 29 more 0.068."""
    assert look(np.arange(6.0), np.array([1.0, 0, 3, 2, 4, 5])).sees
    assert not look(np.arange(6.0), np.array([1.0, 0, 3, 2, 5, 4])).sees


def test_an_order_that_is_kept_is_seen_at_the_first_looks():
    assert np.mean([look(*pairs(9, 0.97, seed)).sees for seed in range(50)]) > 0.8
    assert all(ever_seen(0.97, seed, 18) for seed in range(50))


def test_a_weak_order_is_not_worth_stopping_for_however_sure_it_is():
    found = look(*pairs(500, 0.3, 0))
    assert 0.1 < found.tau < 0.3 and found.trials > 400 and not found.sees


def test_values_that_are_all_the_same_say_nothing():
    assert not look(np.ones(9), np.arange(9.0)).sees


def world(number: int, epoch: int, of: str) -> dict[str, Any]:
    """What trial `number` measures of a and b after an epoch in a world of a kind: "mixed" shows only a early, "late"
    both, but after one epoch not well."""
    a, b = np.random.default_rng([number, 0]).normal(size=2)
    noise = np.random.default_rng([number, epoch]).normal(size=2)
    if of == "reversed" and epoch < EPOCHS:
        return {"val_a": -a, "val_b": -b}
    blurred = 1.2 if of == "late" and epoch == 1 else 0.05
    blind = {"blind": "ab", "mixed": "b"}.get(of, "") if epoch < EPOCHS else ""
    found = zip("ab", (a, b), noise, strict=True)
    return {f"val_{name}": own if name in blind else value + blurred * own for name, value, own in found}


def course(of: str, trials: int = 80) -> tuple[Rungs, list[dict[str, Any]], list[dict[str, Any]], list[int]]:
    """Trials one after the other: (rungs, the store's epochs and trials, the trials at which a rung told of itself)."""
    rungs, epochs, rows, told, clock = Rungs("halving", EPOCHS, TWO), [], [], [], 0
    rungs.on_change = lambda epoch: told.append(number)
    for number in range(trials):
        row = {"trial": f"t{number}", "seed": 0, "number": number, "origin": "searched"}
        for epoch in range(1, EPOCHS + 1):
            clock, values = clock + 1, world(number, epoch, of)
            at = row | {"epoch": epoch, "ended_at": clock}
            epochs.append(at | (values if epoch in rungs.epochs else {}))
            if rungs.judge(row["trial"], epoch, values, is_spared("searched", number)):
                rows.append(row | {"state": "stopped", "epochs": epoch, "ended_at": clock + 0.5})
                break
        else:
            rungs.end(row["trial"], values)
            rows.append(row | {"state": "finished", "epochs": EPOCHS, "ended_at": clock + 0.5} | values)
    return rungs, epochs, rows, told


@pytest.mark.parametrize("of", ["blind", "reversed", "mixed"])
def test_nothing_is_stopped_by_a_rung_that_does_not_see_every_objective(of):
    rungs, _, rows, told = course(of)
    assert not rungs.stopped and {row["state"] for row in rows} == {"finished"}
    assert [one.sees for one in rungs.looked[3, EPOCHS]] == [of == "mixed", False]
    said = rungs.sentence(3, lambda metric: metric.removeprefix("val_"))
    assert said.startswith("The rung after 3 epochs stops nothing.") and "at the end" in said
    assert ("(seen)" in said) == (of == "mixed") and told


def test_rungs_that_see_stop_most_trials_once_that_is_shown_but_for_those_that_are_spared():
    rungs, _, rows, told = course("seen")
    stopped = [row["number"] for row in rows if row["state"] == "stopped"]
    assert len(stopped) > 40 and min(stopped) >= 6 and not any(number % SPARED == 0 for number in stopped)
    assert rungs.sentence(1).startswith("The rung after 1 epoch stops trials that fall behind.")
    assert told[0] == 5 and told == sorted(told)


def test_survivors_of_a_rung_are_no_evidence():
    rungs, _, rows, _ = course("seen")
    ended = [row["number"] for row in rows if row["state"] == "finished"]
    free = [number for number in ended if number % SPARED == 0 or number < 6]
    assert len(rungs.pairs[3, EPOCHS]) == len(free) < len(ended)


def test_once_a_rung_sees_earlier_ones_need_only_predict_the_order_there():
    rungs, *_ = course("late")
    assert rungs.target(1) == 3 and rungs.target(3) == EPOCHS
    assert len(rungs.pairs[1, 3]) > len(rungs.pairs[1, EPOCHS])
    assert "after 3, where it is seen" in rungs.sentence(1)


@pytest.mark.parametrize("of", ["blind", "seen", "mixed"])
def test_rungs_taken_over_know_what_those_knew_that_were_there(of):
    rungs, epochs, rows, _ = course(of)
    again = Rungs("halving", EPOCHS, TWO)
    replicate = {"seed": 1, "val_a": -9.0, "val_b": 9.0, "number": 1, "origin": "searched", "epochs": EPOCHS}
    more = [replicate | {"trial": "t1-s1", "state": "finished", "ended_at": 0.0}]
    again.take_over([*epochs[::-1], replicate | {"trial": "t1-s1", "epoch": 3, "ended_at": 0.0}], rows[::-1] + more)
    assert again.looked == rungs.looked and again.selected == rungs.selected and not again.stopped
    for number in range(200, 230):
        values, epoch = world(number, 3, of), (1, 3)[number % 2]
        assert again.judge(f"t{number}", epoch, values) == rungs.judge(f"t{number}", epoch, values)


def test_rows_that_do_not_say_when_they_ended_are_taken_over_as_they_lie():
    rungs, epochs, rows, _ = course("seen", 20)
    again = Rungs("halving", EPOCHS, TWO)
    timeless = [{name: value for name, value in row.items() if name != "ended_at"} for row in epochs]
    again.take_over([*timeless, {"epoch": 3}, {"trial": rows[0]["trial"]}], rows)
    assert again.ended == rungs.ended
    assert {epoch: set(of) for epoch, of in again.recorded.items()} == {e: set(of) for e, of in rungs.recorded.items()}


def test_trials_of_fewer_epochs_than_are_wanted_now_are_no_evidence():
    _, epochs, rows, _ = course("seen", 20)
    longer = Rungs("halving", 3 * EPOCHS, TWO)
    longer.take_over(epochs, rows)
    assert not longer.pairs[3, 3 * EPOCHS] and longer.pairs[1, 3]


def test_trials_of_other_studies_are_no_evidence():
    """Those that came to their end there may have been the best of many."""
    _, epochs, rows, _ = course("seen", 20)
    rungs = Rungs("halving", EPOCHS, TWO)
    rungs.take_over(epochs, [row | {"taken_study": "another"} for row in rows])
    assert not rungs.ended and not any(rungs.recorded.values())


def test_a_missing_value_is_no_evidence():
    rungs = Rungs("halving", EPOCHS, TWO)
    for number in range(6):
        rungs.judge(f"t{number}", 3, world(number, 3, "seen"))
        rungs.end(f"t{number}", {"val_a": 1.0, "val_b": None} if number == 4 else world(number, EPOCHS, "seen"))
    assert len(rungs.pairs[3, EPOCHS]) == 5


def test_rungs_go_with_the_scheduler_that_tune_pickles():
    assert pickle.loads(pickle.dumps(Rungs("median", EPOCHS, TWO).looked))
