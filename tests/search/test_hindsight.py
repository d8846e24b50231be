"""Which rung would have been best: rungs whose order says everything, or nothing."""

import numpy as np
from driving import OBJECTIVES

from evae.search.hindsight import LEAST, replays, sentence
from evae.search.rungs import Rungs


def rungs_of(n: int, noise: float, seed: int = 0, objectives: list = OBJECTIVES) -> Rungs:
    """Trials of 9 epochs, a trade-off with much that is bad; what is measured at a rung is the end's with noise."""
    random, rungs = np.random.default_rng(seed), Rungs("halving", 9, objectives)
    for i in range(n):
        along, off = random.uniform(), random.exponential()
        a, b = along + off, along - off
        for epoch in (1, 3):
            early = {"val_a": a + noise * random.normal(), "val_b": b + noise * random.normal()}
            rungs.judge(str(i), epoch, early, spared=True)
        rungs.end(str(i), {"val_a": a, "val_b": b})
    return rungs


def test_a_rung_that_sees_all_keeps_more_than_as_many_epochs_without_it():
    rungs = rungs_of(60, 0.0)
    first, second = replays(rungs)
    assert (first.epoch, second.epoch, first.trials) == (1, 3, 60)
    assert first.epochs < second.epochs < 0.8
    assert first.kept > first.without + 0.03 and first.kept > 0.9
    assert sentence(rungs).startswith("The rung after 1 epoch would have been the best so far: of 60 trials that ran")
    assert replays(rungs) == [first, second]


def test_rungs_that_see_nothing_do_not_pay_on_average():
    studies = [rungs_of(30, 50.0, seed) for seed in range(6)]
    assert abs(np.mean([one.kept - one.without for rungs in studies for one in replays(rungs)])) < 0.05
    assert any(sentence(rungs).startswith("No rung would have paid so far") for rungs in studies)


def test_little_says_nothing():
    assert sentence(rungs_of(LEAST - 1, 0.0)) == "" and sentence(rungs_of(LEAST, 0.0)) != ""
    assert sentence(rungs_of(40, 0.0, objectives=OBJECTIVES[:1])) == ""
    assert sentence(Rungs("median", 9, OBJECTIVES)) == ""
