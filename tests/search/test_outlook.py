"""The expected gain of going on, against studies of which the truth is known by simulation."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from scipy import stats

from evae.search import outlook as module
from evae.search.constraints import Constraint
from evae.search.hypervolume import alone, by_pairs, hypervolume
from evae.search.outlook import LEVEL, Outlook, outlook
from evae.search.pareto import nondominated

TWO = [("val_a", "min"), ("val_b", "max")]
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
Draw = Callable[[np.random.Generator, int], np.ndarray]


def rows(values: np.ndarray, hours: float = 0.5, **more: Any) -> list[dict[str, Any]]:
    """Trials one after the other, of objectives to be minimised in a and, from the third on, maximised in b."""
    names = ("val_a", "val_b", "val_c")
    signs = (1, -1, 1)
    return [
        {
            "configuration": f"c{i}",
            "origin": "searched",
            "seed": 0,
            "state": "finished",
            "started_at": BEGAN + timedelta(hours=hours * i),
            "ended_at": BEGAN + timedelta(hours=hours * (i + 1)),
            **{name: sign * one for name, sign, one in zip(names, signs, value, strict=False)},
            **more,
        }
        for i, value in enumerate(values)
    ]


def square(random: np.random.Generator, n: int) -> np.ndarray:
    return random.uniform(size=(n, 2))


def trade_off(random: np.random.Generator, n: int) -> np.ndarray:
    return random.dirichlet(np.ones(2), size=n) + np.abs(random.normal(0, 0.3, (n, 1)))


def three(random: np.random.Generator, n: int) -> np.ndarray:
    return random.dirichlet(np.ones(3), size=n) + np.abs(random.normal(0, 0.3, (n, 1)))


def mean_gain(points: np.ndarray, draw: Draw, random: np.random.Generator, more: int) -> float:
    """What so many more draws add to the hypervolume in the box of `points`, as a share, by simulation."""
    low, reference = points.min(axis=0), np.ones(points.shape[1])
    extent = np.ptp(points, axis=0)

    def volume(of: np.ndarray) -> float:
        of = (of - low) / extent
        return hypervolume(of[nondominated(of)], reference)

    front = points[nondominated(points)]
    return np.mean([volume(np.vstack([front, draw(random, more)])) for _ in range(25)]) / volume(front) - 1


@pytest.mark.parametrize(("draw", "n"), [(square, 20), (square, 60), (trade_off, 40), (three, 30)])
def test_the_interval_holds_the_true_gain_as_often_as_it_says_and_the_estimate_is_right_on_average(draw: Draw, n: int):
    random, found = np.random.default_rng(4), []
    objectives = [*TWO, ("val_c", "min")][: draw(random, 1).shape[1]]
    for _ in range(60 if len(objectives) == 2 else 30):  # of three, each takes five times as long
        points = draw(random, n)
        said = outlook(rows(points, hours=10 / n), objectives, sampler="random")
        assert said.more == n and said.of == said.known == n
        truth = mean_gain(points, draw, random, n)
        found.append((truth, said.gain.expected, said.gain.low <= truth <= said.gain.high))
        assert 0 <= said.gain.low <= said.gain.expected <= said.gain.high
    truth, expected, holds = np.array(found).T
    assert stats.binomtest(int(holds.sum()), len(holds), LEVEL, alternative="less").pvalue > 0.01
    error = (expected - truth).std() / math.sqrt(len(truth))
    assert abs(expected.mean() - truth.mean()) < 0.2 * truth.mean() + 3 * error


def test_a_finished_front_gains_nothing():
    """Of few values all have been found, most of them many times."""
    random = np.random.default_rng(0)
    step = random.integers(0, 4, 200) / 3
    points = np.stack([step, 1 - step], axis=1) + random.integers(0, 2, (200, 1))
    said = outlook(rows(points), TWO, sampler="random")
    assert said.gain.expected == said.gain.low == said.gain.high == 0
    assert "by 0.0 % (0.0 to 0.0 %)" in said.sentence()


def test_less_is_expected_of_a_longer_study_and_more_of_more_hours():
    points = square(np.random.default_rng(1), 400)
    gains = [outlook(rows(points[:n], hours=10 / n), TWO, sampler="random").gain.expected for n in (25, 100, 400)]
    assert gains == sorted(gains, reverse=True)
    short, long = (outlook(rows(points, hours=h), TWO, sampler="random") for h in (1, 0.025))
    assert (short.more, long.more) == (10, 400) and short.gain.expected < long.gain.expected


def test_draws_that_gave_nothing_count_as_draws():
    points = square(np.random.default_rng(2), 160)
    good = outlook(rows(points[::2], hours=0.05), TWO, sampler="random")
    lost = rows(points, hours=0.05)
    ways = ({"state": "diverged"}, {"state": "failed"}, {"val_a": math.nan}, {"val_b": None}, {"state": "stopped"})
    for i, row in enumerate(lost):
        row |= ways[i // 2 % 5] if i % 2 else {}
    bad = outlook(lost, TWO, sampler="random")
    assert (good.known, bad.known, bad.of) == (80, 160, 160)
    # In as many hours for each draw, of which half give nothing: twice the draws at half the rate.
    assert (good.more, bad.more) == (80, 160) and bad.gain.expected == pytest.approx(good.gain.expected, rel=0.02)


def test_what_breaks_a_constraint_gives_nothing():
    points = square(np.random.default_rng(3), 60)
    kept, broken = rows(points, size=1.0), rows(points - 5, val_size=3.0)
    fine = [row | {"val_size": 1.0} for row in kept]
    more = [row | {"configuration": f"b{i}"} for i, row in enumerate(broken)]
    limit = [Constraint("size <= 2", "size", True, 2.0)]
    said = outlook(fine + more, TWO, limit, "random")
    assert said.known == 120
    alone_ = outlook(fine + [row | {"state": "failed"} for row in more], TWO, (), "random")
    assert said.gain == alone_.gain


def test_few_configurations_tell_nothing_and_one_objective_has_no_front():
    points = square(np.random.default_rng(0), 30)
    assert outlook(rows(points[:19]), TWO).sentence() == (
        "What more hours would buy cannot be told from 19 configurations that the search has drawn; 20 are needed."
    )
    assert outlook(rows(points), TWO[:1]) is None and outlook([], TWO) is None
    assert outlook(rows(points, origin="grid"), TWO) is None and outlook(rows(points, taken_study="x"), TWO) is None
    assert outlook(rows(points, started_at=None), TWO) is None
    assert outlook(rows(points, state="failed"), TWO) is None
    assert outlook(rows(np.ones((30, 2))), TWO) is None
    fresh = rows(points, role="confirm", seed=1000)
    assert outlook(rows(points[:5]) + fresh, TWO) == Outlook(5)


def test_of_a_sampler_that_learns_the_last_half_stands_for_what_is_to_come():
    """The first half found nothing near the front; the second is still gaining."""
    random = np.random.default_rng(5)
    first, second = trade_off(random, 40) + 1, trade_off(random, 40)
    learns, alike = (outlook(rows(np.vstack([first, second]), 0.1), TWO, sampler=of) for of in ("tpe", "random"))
    assert (learns.of, alike.of) == (40, 80) and learns.gain.expected > 1.1 * alike.gain.expected
    # The other way round there is nothing more to come.
    late = outlook(rows(np.vstack([second, first]), 0.1), TWO, sampler="tpe")
    assert late.gain.expected == late.gain.low == 0 < late.gain.high


def test_the_pace_is_that_of_the_last_part_without_pauses_and_taken_trials():
    points = square(np.random.default_rng(6), 40)
    slow, quick = rows(points[:20], hours=1), rows(points[20:], hours=0.1)
    pause = timedelta(days=7)
    quick = [
        row | {"configuration": f"q{i}", "started_at": row["started_at"] + pause, "ended_at": row["ended_at"] + pause}
        for i, row in enumerate(quick)
    ]
    said = outlook(slow + quick, TWO, sampler="random")
    # Ten hours would bring a hundred, of which nothing is known.
    assert said.hours == pytest.approx(4) and said.more == 40
    taken = [row | {"configuration": f"t{i}", "taken_study": "other"} for i, row in enumerate(slow)]
    assert outlook(quick + taken, TWO, sampler="random").more == 20


def test_replicates_count_by_their_means():
    points = square(np.random.default_rng(7), 40)
    single = outlook(rows(points, 0.1), TWO, sampler="random")
    both = rows(points - 0.3, 0.1) + rows(points + 0.3, 0.1, seed=1)
    said = outlook(both, TWO, sampler="random")
    assert said.gain.expected == pytest.approx(single.gain.expected) and said.repeated and not single.repeated
    assert "means over seeds" in said.sentence() and "whose luck counts as gain" in single.sentence()


def test_the_sentence_says_hours_configurations_gain_and_what_it_supposes():
    said = Outlook(80, 40, 10.0, 400, module.Gain(0.004, 0.0, 0.011))
    assert said.sentence() == (
        "10 more hours (about 400 configurations) would raise the hypervolume by 0.4 % (0.0 to 1.1 %), if the search "
        "goes on as in its last 40 configurations: an estimate of single seeds, whose luck counts as gain."
    )
    assert (
        Outlook(20, 20, 0.05, 1, module.Gain(0.5, 0.1, 2), True)
        .sentence()
        .startswith("3 more minutes (about 1 configuration) would raise the hypervolume by 50 % (10 to 200 %)")
    )


@pytest.mark.parametrize("k", [1, 2, 3])
def test_what_hangs_on_one_point_and_on_two_is_counted_in_cells(k: int):
    random = np.random.default_rng(k)
    for _ in range(20):
        points, reference = random.integers(0, 5, (7, k)).astype(float), np.full(k, 5.0)
        cells = np.stack(np.meshgrid(*[np.arange(5)] * k), axis=-1).reshape(-1, k)
        over = (points[:, None] <= cells[None]).all(axis=2)
        once, twice = over[:, over.sum(axis=0) == 1], over[:, over.sum(axis=0) == 2]
        assert alone(points, reference) == pytest.approx(once.sum(axis=1))
        pairs = {(i, j): volume for i, j, volume in by_pairs(points, reference)}
        counted = {(i, j): (twice[i] & twice[j]).sum() for i in range(7) for j in range(i + 1, 7)}
        assert pairs == pytest.approx({of: n for of, n in counted.items() if n})
