"""How much a value differs between seeds, by draws whose spread is known."""

import numpy as np
import pytest
from scipy import stats

from evae.search import noise
from evae.search.noise import Noise, between_seeds

THREE = np.array([3.0, 3.0, 3.0, 3.0])


def test_equal_spreads_are_pooled_as_in_an_analysis_of_variance():
    means, deviations = np.array([2.0, 10.0, 7.0, 8.0]), np.array([0.2, 0.25, np.nan, 0.0])
    spread, freedom = between_seeds(means, deviations, np.array([3, 2, 1, 0]))
    np.testing.assert_allclose(spread, np.sqrt((2 * 0.2**2 + 1 * 0.25**2) / 3))
    assert (freedom == 3).all()


@pytest.mark.parametrize("means", [[0.0002, 1, 2, 3], [0, 0, 0, 0], [-0.001, 0, -2, 3], [-115, -116, -115.5, -117]])
def test_a_mean_near_zero_changes_nothing(means: list[float]):
    spread, freedom = between_seeds(np.array(means, float), np.full(4, 0.02), THREE)
    np.testing.assert_allclose(spread, 0.02)
    assert (freedom == 8).all()


def test_each_mean_has_the_spread_of_its_size():
    """A collapsed VAE's rate beside those of others: the spread grows with the mean, but not from 0."""
    means, deviations = np.array([0.0004, 0.0003, 20.0, 22.0, 40.0]), np.array([0.0004, 0.0005, 0.1, 0.12, 0.2])
    spread, freedom = between_seeds(means, deviations, np.full(5, 3))
    assert (np.abs(np.log2(spread / deviations)) < 1).all()
    assert (freedom == 9).all()


def test_signs_units_and_order_make_no_difference():
    rng = np.random.default_rng(0)
    means = np.geomspace(0.01, 100, 12)
    deviations, counts = means * rng.uniform(0.05, 0.2, 12), rng.integers(1, 4, 12)
    spread, freedom = between_seeds(means, deviations, counts)
    for of, by in ((-means, 1.0), (means * 1e-9, 1e-9), (means * 1e9, 1e9)):
        other, same = between_seeds(of, deviations * by, counts)
        np.testing.assert_allclose(other, spread * by)
        assert (same == freedom).all()
    np.testing.assert_allclose(between_seeds(means[::-1], deviations[::-1], counts[::-1])[0], spread[::-1])


def test_without_a_second_seed_nothing_is_known():
    spread, freedom = between_seeds(np.array([1.0, 2.0]), np.zeros(2), np.array([1, 1]))
    assert np.isnan(spread).all() and not freedom.any()
    spread, freedom = between_seeds(np.zeros(0), np.zeros(0), np.zeros(0))
    assert len(spread) == len(freedom) == 0


def test_seeds_that_all_agree_have_no_spread():
    spread, freedom = between_seeds(np.array([0.0, 12.0]), np.zeros(2), np.array([2, 3]))
    assert spread.tolist() == [0, 0] and (freedom == 3).all()


@pytest.mark.parametrize(
    ("means", "spread"),
    [
        (np.linspace(0, 3, 12), np.full(12, 0.2)),
        (np.geomspace(0.01, 1000, 12), 0.05 * np.geomspace(0.01, 1000, 12)),
        (np.geomspace(0.001, 30, 12), np.sqrt(0.05**2 + (0.1 * np.geomspace(0.001, 30, 12)) ** 2)),
    ],
    ids=["constant", "relative", "both"],
)
def test_the_spread_is_found_where_it_is_constant_and_where_it_grows(means: np.ndarray, spread: np.ndarray):
    rng, found = np.random.default_rng(1), []
    for _ in range(400):
        values = means[:, None] + spread[:, None] * rng.normal(size=(12, 3))
        found.append(between_seeds(values.mean(axis=1), values.std(axis=1, ddof=1), np.full(12, 3))[0])
    assert np.abs(np.log(np.median(found, axis=0) / spread)).max() < 0.15


def test_a_configuration_that_is_noisier_than_others_has_the_wider_spread():
    """Shrunk, not pooled: where spreads differ fourfold, five seeds tell, and their degrees of freedom are fewer."""
    rng, spread = np.random.default_rng(0), np.array([0.5, 1.0, 2.0])[np.arange(60) % 3]
    values = 10 + spread[:, None] * rng.normal(size=(60, 5))
    found, freedom = between_seeds(values.mean(axis=1), values.std(axis=1, ddof=1), np.full(60, 5))
    assert [np.median(found[spread == s]) for s in (0.5, 1.0, 2.0)] == pytest.approx([0.6, 1.0, 1.8], abs=0.25)
    assert (freedom > 4).all() and (freedom < 20).all()


@pytest.mark.parametrize("freedom", [2.0, 6.0])
def test_the_prior_is_found_from_the_scatter_of_the_variances(freedom: float):
    """Variances drawn from the prior of Smyth's model, with four degrees of freedom of their own."""
    rng = np.random.default_rng(0)
    variances = 3.0 * freedom / rng.chisquare(freedom, 3000) * rng.chisquare(4, 3000) / 4
    prior, scale = noise._shared(variances, np.full(3000, 4.0))
    assert prior == pytest.approx(freedom, rel=0.5) and scale == pytest.approx(3.0, rel=0.15)


def test_a_difference_of_two_is_welchs():
    one, two = np.array([3.1, 2.7, 3.6, 2.9]), np.array([4.0, 4.9, 2.2])
    error = np.array([stats.sem(one), stats.sem(two)])
    of = Noise(error, np.array([3.0, 2.0]))
    wanted = stats.ttest_ind(one, two, equal_var=False)
    # The variances share nothing here, and the degrees of freedom lie between those of each.
    assert 2 < wanted.df < 3
    half = noise.critical(of, np.array([0]), np.array([1]), 0.025)[0, 0]
    assert half == pytest.approx(wanted.confidence_interval(0.95).high - (one.mean() - two.mean()), rel=1e-3)


@pytest.mark.parametrize("configurations", [7, 30])
@pytest.mark.parametrize("tails", ["normal", "heavy", "bad seeds"])
def test_among_equals_each_is_beaten_at_most_as_often_as_said(configurations: int, tails: str):
    rng, shape, called = np.random.default_rng(0), (configurations, 3), []
    draw = {
        "normal": lambda: rng.normal(size=shape),
        "heavy": lambda: rng.standard_t(3, shape),
        "bad seeds": lambda: rng.normal(size=shape) + 6 * (rng.random(shape) < 0.1),
    }[tails]
    for _ in range(200):
        values = 10 + draw()
        of = noise.of_means(values.mean(axis=1), values.std(axis=1, ddof=1), np.full(configurations, 3))
        called.append(noise.beaten(values.mean(axis=1)[:, None], [of]).mean())
    assert np.mean(called) < 0.05 + 4 * np.std(called) / np.sqrt(200)


def test_many_configurations_are_compared_as_few_are(monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(0)
    means, deviations, counts = rng.normal(size=(50, 2)), rng.uniform(0.1, 0.3, (50, 2)), rng.integers(1, 5, 50)
    noises = [noise.of_means(*pair, counts) for pair in zip(means.T, deviations.T, strict=True)]
    whole = noise.beaten(means, noises)
    monkeypatch.setattr(noise, "BLOCK", 7)
    assert (noise.beaten(means, noises) == whole).all() and 0 < whole.sum() < 50
