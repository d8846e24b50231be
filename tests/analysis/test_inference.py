"""What chance explains, by drawings whose truth is known."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from analysis.study import inference
from evae.search import noise
from evae.search.variance import labels


@pytest.mark.parametrize(
    ("configurations", "seeds", "truths", "off"),
    [(7, 2, 0.0, 0.25), (30, 3, 0.0, 0.1), (30, 3, 3.0, 0.7)],
    ids=["few", "equal", "apart"],
)
def test_the_flattery_is_about_that_of_the_best(configurations: int, seeds: int, truths: float, off: float) -> None:
    random, said, was = np.random.default_rng(0), [], []
    for _ in range(200):
        truth = 10 + truths * random.normal(size=configurations)
        values = truth[:, None] + random.normal(size=(configurations, seeds))
        means = values.mean(axis=1)
        said.append(inference.flattery(means, noise.of(values)))
        was.append((truth - means)[means.argmin()])
    assert np.mean(said) == pytest.approx(np.mean(was), rel=off)


def test_what_is_exact_or_unknown_is_not_flattered_or_not_known() -> None:
    means = np.array([1.0, 2.0, 3.0])
    assert inference.flattery(means, noise.of(np.stack([means, means], axis=1))) == pytest.approx(0, abs=1e-5)
    assert np.isnan(inference.flattery(means, noise.of(means[:, None])))


def test_luck_is_carried_as_far_as_the_splits_share_it() -> None:
    random, groups = np.random.default_rng(0), np.repeat(np.arange(400), 3)
    shared, level = random.normal(size=1200), 10 * random.normal(size=400)[groups]
    one, two = (level + shared + random.normal(size=1200) for _ in range(2))
    assert inference.carried(one, two, groups) == pytest.approx(0.5, abs=0.1)
    assert inference.carried(level, two, groups) == 0


def test_a_correlation_is_spearmans_and_of_noise_it_is_seldom_more_than_chance() -> None:
    random = np.random.default_rng(0)
    one = random.integers(0, 8, 30).astype(float)
    two = one + 4 * random.normal(size=30)
    assert inference.correlation(one, two)[0] == pytest.approx(spearmanr(one, two).statistic)
    assert inference.correlation(one, -one) == (pytest.approx(-1), True)
    assert inference.correlation(one, np.ones(30))[1] is False
    told = [inference.correlation(*random.normal(size=(2, 12)))[1] for _ in range(200)]
    assert sum(told) < 24  # 5 % of 200; more have a probability of 0.02 %


def a_space(random: np.random.Generator, n: int) -> list[np.ndarray]:
    """Three numbers, a choice of nine and a number that every other configuration lacks."""
    lacking = [float(x) if i % 2 else None for i, x in enumerate(random.random(n))]
    given = [*(list(random.random(n)) for _ in range(3)), list(random.choice(list("abcdefghi"), n)), lacking]
    return [labels(values) for values in given]


@pytest.mark.parametrize("configurations", [12, 50])
def test_of_pure_noise_nothing_is_said(configurations: int) -> None:
    """5 % of studies, and 14 of 100 have a probability of 0.05 %; too few to know that a parameter does not matter."""
    random, told = np.random.default_rng(0), 0
    for _ in range(100):
        found, most = inference.bearing(a_space(random, configurations), random.normal(size=configurations))
        told += found.any()
        assert most.min() > 0.05
    assert told < 14


def test_what_bears_is_told_and_what_does_not_is_known_from_many() -> None:
    random = np.random.default_rng(0)
    parameters = a_space(random, 1000)
    found, most = inference.bearing(parameters, parameters[0] + random.normal(size=1000))
    assert found[0] and most[0] > 0.5 and (most[1:] < 0.05).all()


def test_values_are_kinds_or_bins_and_none_is_none() -> None:
    assert labels([8, 16, 8, None, 64]).tolist() == [0, 1, 0, -1, 2]
    assert labels([True, False]).tolist() == [0, 1]
    assert np.bincount(labels(list(range(100)))).tolist() == [20] * 5
    assert labels([None, None]).tolist() == [-1, -1]
