"""How much a value differs between seeds, by draws whose spread is known."""

import numpy as np
import pytest

from evae.search.noise import between_seeds

THREE = np.array([3.0, 3.0, 3.0, 3.0])


def test_equal_spreads_are_pooled_as_in_an_analysis_of_variance():
    means, deviations = np.array([2.0, 10.0, 7.0, 8.0]), np.array([0.2, 0.25, np.nan, 0.0])
    spread, freedom = between_seeds(means, deviations, np.array([3, 2, 1, 0]))
    np.testing.assert_allclose(spread, np.sqrt((2 * 0.2**2 + 1 * 0.25**2) / 3))
    assert freedom == 3


@pytest.mark.parametrize("means", [[0.0002, 1, 2, 3], [0, 0, 0, 0], [-0.001, 0, -2, 3], [-115, -116, -115.5, -117]])
def test_a_mean_near_zero_changes_nothing(means: list[float]):
    spread, freedom = between_seeds(np.array(means, float), np.full(4, 0.02), THREE)
    np.testing.assert_allclose(spread, 0.02)
    assert freedom == 8


def test_each_mean_has_the_spread_of_its_size():
    """A collapsed VAE's rate beside those of others: the spread grows with the mean, but not from 0."""
    means, deviations = np.array([0.0004, 0.0003, 20.0, 22.0, 40.0]), np.array([0.0004, 0.0005, 0.1, 0.12, 0.2])
    spread, freedom = between_seeds(means, deviations, np.full(5, 3))
    assert (np.abs(np.log2(spread / deviations)) < 1).all()
    assert freedom == 9


def test_signs_units_and_order_make_no_difference():
    rng = np.random.default_rng(0)
    means = np.geomspace(0.01, 100, 12)
    deviations, counts = means * rng.uniform(0.05, 0.2, 12), rng.integers(1, 4, 12)
    spread, freedom = between_seeds(means, deviations, counts)
    for of, by in ((-means, 1.0), (means * 1e-9, 1e-9), (means * 1e9, 1e9)):
        other, same = between_seeds(of, deviations * by, counts)
        np.testing.assert_allclose(other, spread * by)
        assert same == freedom
    np.testing.assert_allclose(between_seeds(means[::-1], deviations[::-1], counts[::-1])[0], spread[::-1])


def test_without_a_second_seed_nothing_is_known():
    spread, freedom = between_seeds(np.array([1.0, 2.0]), np.zeros(2), np.array([1, 1]))
    assert np.isnan(spread).all() and freedom == 0
    spread, freedom = between_seeds(np.zeros(0), np.zeros(0), np.zeros(0))
    assert not len(spread) and freedom == 0


def test_seeds_that_all_agree_have_no_spread():
    spread, freedom = between_seeds(np.array([0.0, 12.0]), np.zeros(2), np.array([2, 3]))
    assert spread.tolist() == [0, 0] and freedom == 3


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
