"""Rungs: who is stopped, in whatever order trials come, after a restart, and as Tune's own ASHA would have it."""

import random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from driving import seeing
from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler

from evae.cluster.tune import Order
from evae.errors import UserError
from evae.search.fronts import Fronts
from evae.search.job import Job
from evae.search.rungs import SPARED, Rule, Rungs, halving, median, rung_epochs

ONE = [("val_a", "min")]
TWO = [("val_a", "min"), ("val_b", "max")]


@pytest.mark.parametrize(
    ("epochs", "rungs"), [(2, (1,)), (6, (1, 2)), (9, (1, 3)), (27, (1, 3, 9)), (50, (2, 6, 17)), (300, (11, 33, 100))]
)
def test_rungs_lie_at_a_third_a_ninth_and_a_27th(epochs, rungs):
    assert rung_epochs(epochs) == rungs


def test_a_single_epoch_has_no_rung():
    with pytest.raises(UserError, match="raise --epochs"):
        Rungs("halving", 1, ONE)


@pytest.mark.parametrize("direction", ["min", "max"])
@pytest.mark.parametrize("seed", range(5))
def test_one_objective_is_decided_as_by_tunes_asha(direction, seed):
    """60 trials of 27 epochs, ten under way at a time in random order, some values tied."""
    rng = random.Random(seed)
    tunes = AsyncHyperBandScheduler(
        time_attr="epoch", metric="val_a", mode=direction, max_t=27, grace_period=1, reduction_factor=3,
        stop_last_trials=False,
    )  # fmt: skip
    ours = seeing(Rungs("halving", 27, [("val_a", direction)]))
    waiting, under_way, verdicts = [f"t{i}" for i in range(60)], {}, []
    while waiting or under_way:
        while waiting and len(under_way) < 10:
            trial = SimpleNamespace(trial_id=waiting.pop(0))
            tunes.on_trial_add(None, trial)
            under_way[trial.trial_id] = (trial, 0)
        name = rng.choice(sorted(under_way))
        trial, epoch = under_way[name]
        epoch += 1
        under_way[name] = trial, epoch
        if epoch == 27:  # the end, which is no rung here; Tune's has a verdict for it too
            del under_way[name]
            continue
        result = {"epoch": epoch, "val_a": round(rng.random(), 2)}
        theirs = tunes.on_trial_result(None, trial, result)
        why = ours.judge(name, epoch, result)
        assert (why is not None) == (theirs == TrialScheduler.STOP), (name, epoch, result)
        verdicts.append(why is not None)
        if why:
            del under_way[name]
    assert 20 < sum(verdicts) < 60


def told(rule: Rule, earlier: np.ndarray, new: np.ndarray) -> str | None:
    come = Fronts(earlier.shape[1])
    for value in (*earlier, new):
        come.add(value)
    return rule(come)


def measured(a: float, b: float) -> dict[str, float]:
    return {"val_a": a, "val_b": b}


def test_several_objectives_keep_the_front_and_stop_what_is_dominated():
    rungs = seeing(Rungs("halving", 9, TWO))
    for number in range(9):
        x = number / 8
        rungs.judge(f"t{number}", 3, measured(x, x))  # all on one front: a lower a costs b
    assert rungs.judge("worst", 3, measured(2.0, -1.0)) is not None
    assert rungs.judge("best", 3, measured(-1.0, 2.0)) is None


def test_a_trade_off_like_another_is_stopped_before_one_at_an_open_end():
    crowd = np.array([[x, -x] for x in np.linspace(0.45, 0.55, 10)])
    assert told(halving, crowd, np.array([0.5495, -0.5495])) is not None
    assert told(halving, crowd, np.array([3.0, -3.0])) is None


def test_the_order_of_arrival_of_earlier_trials_does_not_matter():
    rng = np.random.default_rng(0)
    earlier = rng.normal(size=(30, 2))
    for new in rng.normal(size=(20, 2)):
        verdicts = {told(halving, rng.permutation(earlier), new) for _ in range(4)}
        assert len(verdicts) == 1


def test_about_a_third_goes_on():
    rng = np.random.default_rng(3)
    rungs = seeing(Rungs("halving", 9, TWO))
    went_on = [rungs.judge(str(n), 1, measured(*rng.normal(size=2))) is None for n in range(600)]
    assert 0.28 < np.mean(went_on[100:]) < 0.40


def test_a_rung_is_judged_once_and_only_at_its_epoch():
    rungs = seeing(Rungs("halving", 9, ONE))
    assert rungs.judge("good", 3, {"val_a": 1.0}) is None
    assert rungs.judge("bad", 2, {"val_a": 9.0}) is None
    assert rungs.judge("bad", 3, {"val_a": 9.0}).startswith("stopped at the rung after epoch 3: place 2 of 2")
    # A trial that lost its process comes to the same rung again.
    assert rungs.judge("good", 3, {"val_a": 10.0}) is None
    assert set(rungs.stopped) == {"bad"}


@pytest.mark.parametrize("bad", [{}, {"val_a": None}, {"val_a": float("nan")}, {"val_a": float("inf")}], ids=str)
def test_what_was_not_measured_is_neither_judged_nor_compared_with(bad):
    rungs = seeing(Rungs("halving", 9, ONE))
    rungs.judge("good", 1, {"val_a": 1.0})
    assert rungs.judge("odd", 1, bad) is None
    assert rungs.judge("also good", 1, {"val_a": 1.0}) is None


@pytest.mark.parametrize("kind", ["bound", "none"])
def test_a_rate_that_is_no_divergence_is_neither_judged_nor_compared_with(kind):
    rungs = seeing(Rungs("halving", 6, [("val_rate_nats", "min")]))
    for i in range(6):
        assert rungs.judge(f"other {i}", 2, {"val_rate_nats": 0.0, "val_rate_is": kind}) is None
    assert rungs.judge("first", 2, {"val_rate_nats": 20.0, "val_rate_is": "exact"}) is None
    assert rungs.judge("second", 2, {"val_rate_nats": 21.0, "val_rate_is": "exact"})
    assert rungs.judge("last", 2, {"val_rate_nats": 99.0, "val_rate_is": kind}) is None


def test_the_spared_are_compared_with_but_go_on():
    rungs = seeing(Rungs("halving", 9, ONE))
    assert rungs.judge("first", 1, {"val_a": 1.0}) is None
    assert rungs.judge("control", 1, {"val_a": 2.0}, spared=True) is None
    assert rungs.judge("third", 1, {"val_a": 1.5}) is not None
    assert "place 2 of 3" in rungs.stopped["third"]


def test_the_median_stops_what_is_worse_in_every_objective():
    earlier = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0], [4.0, 4.0]])
    assert "worse than the median of 4" in told(median, earlier, np.array([2.6, 2.6]))
    assert told(median, earlier, np.array([2.6, 2.4])) is None
    assert told(median, earlier[:3], np.array([9.0, 9.0])) is None


def trial_of(rungs: Rungs, origin: str = "searched", seed: int = 0, number: int = 1) -> Any:
    epochs = rungs.epochs if seed == 0 else ()
    job = Job(f"c{number}", number, seed, 1, {}, {}, origin, None, epochs)
    return SimpleNamespace(config={"job": job})


def test_tune_hears_of_a_verdict_only_once_the_rung_is_in_the_store():
    rungs = seeing(Rungs("halving", 9, ONE))
    rungs.judge("first", 1, {"val_a": 1.0})
    scheduler, trial = Order(rungs, []), trial_of(rungs)
    result = {"epochs": 1, "val_a": 2.0, "waits_for": "a disk"}
    assert scheduler.on_trial_result(None, trial, result) == TrialScheduler.CONTINUE
    assert scheduler.on_trial_result(None, trial, result | {"waits_for": None}) == TrialScheduler.STOP


def test_controls_further_replicates_and_a_share_that_is_spared_go_on():
    rungs = seeing(Rungs("halving", 9, ONE))
    rungs.judge("first", 1, {"val_a": 1.0})
    result = {"epochs": 1, "val_a": 2.0, "waits_for": None}
    for trial in (trial_of(rungs, origin="control"), trial_of(rungs, seed=1), trial_of(rungs, number=2 * SPARED)):
        assert Order(rungs, []).on_trial_result(None, trial, result) == TrialScheduler.CONTINUE
    assert Order(rungs, []).on_trial_result(None, trial_of(rungs, number=2), result) == TrialScheduler.STOP
