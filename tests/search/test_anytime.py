"""The sequential tests: their error holds at all looks together, and they find what is there."""

import numpy as np
import pytest
from scipy import integrate, stats

from evae.search.anytime import PRECISION, confidence_sequence, half_width, values_needed
from evae.search.shares import configurations_needed, looks, share, share_sequence
from evae.search.variance import non_centrality


def leaves_out(values: np.ndarray, truth: float, error: float = 0.05) -> np.ndarray:
    """Of each sequence, whether the truth was ever left out."""
    low, high = confidence_sequence(values, error)
    return (low[..., -1] > truth) | (high[..., -1] < truth)


def test_the_interval_is_where_the_mixture_of_likelihood_ratios_stays_below_its_limit():
    """Against the likelihood of t itself, non-central over central, integrated over the prior."""
    values = np.random.default_rng(1).normal(0.4, 1.3, 7)

    def ratio(mean: float) -> float:
        moved = values - mean
        n, t = len(moved), moved.mean() / moved.std(ddof=1) * np.sqrt(len(moved))

        def at(effect: float) -> float:
            prior = stats.norm.pdf(effect, 0, PRECISION**-0.5)
            return prior * stats.nct.pdf(t, n - 1, effect * np.sqrt(n)) / stats.t.pdf(t, n - 1)

        return integrate.quad(at, -8, 8, points=(0, t / np.sqrt(n)), limit=200)[0]

    half = half_width(7, 0.1) * values.std()
    for end in (values.mean() - half, values.mean() + half):
        assert ratio(end) == pytest.approx(10, rel=1e-3)


def test_equal_means_are_told_apart_in_5_percent_at_all_looks_together():
    nothing = np.random.default_rng(0).normal(size=(2000, 200))
    assert leaves_out(nothing, 0.0).mean() <= 0.05
    # A t test at each look would be wrong in a third of them.
    n = np.arange(2, 201)
    mean = np.cumsum(nothing, axis=1)[:, 1:] / n
    spread = np.sqrt((np.cumsum(nothing**2, axis=1)[:, 1:] - n * mean**2) / (n - 1))
    assert (np.abs(mean) > stats.t.ppf(0.975, n - 1) * spread / np.sqrt(n)).any(axis=1).mean() > 0.3


def test_a_difference_is_found_soon_and_smaller_error_takes_longer():
    apart = np.random.default_rng(2).normal(1.5, 1.0, size=(500, 30))
    found = [(confidence_sequence(apart, error)[0] > 0).argmax(axis=1) + 1 for error in (0.05, 0.005)]
    assert 6 <= np.median(found[0]) <= 11 and np.median(found[0]) < np.median(found[1])
    assert values_needed(1.5, 1.0, 0.05) == pytest.approx(np.median(found[0]), abs=2)


def test_the_interval_does_not_depend_on_the_scale_or_the_place():
    values = np.random.default_rng(3).normal(size=12)
    low, high = confidence_sequence(values, 0.05)
    for scale, place in ((1e-3, 0.0), (1.0, 1e6), (50.0, -3.0)):
        moved = confidence_sequence(scale * values + place, 0.05)
        assert np.allclose((moved[0] - place) / scale, low, atol=1e-6)
        assert np.allclose((moved[1] - place) / scale, high, atol=1e-6)


def test_what_was_once_excluded_stays_so_and_nothing_is_before_three_values():
    low, high = confidence_sequence(np.r_[5.0, 5.1, 4.9, 5.0, 5.1, 4.9, np.full(20, -5.0)], 0.05)
    assert np.isinf(low[:2]).all() and low[5] > 0
    assert (np.diff(low[3:]) >= 0).all() and (np.diff(high[3:]) <= 0).all() and (low <= high).all()


def test_values_without_spread_are_known_to_rounding():
    low, high = confidence_sequence(np.zeros(5), 0.05, least=1e-9)
    assert low[-1] == -1e-9 and high[-1] == 1e-9
    assert np.isinf(values_needed(0.0, 1.0, 0.05)) and values_needed(1.0, 0.0, 0.05) == 3
    assert np.isinf(values_needed(1e-9, 1.0, 0.05))


def test_the_looks_spend_the_error_once():
    spent = [part for _, part in looks(20 * 2**20)]
    assert looks(19) == [] and [n for n, _ in looks(100)] == [20, 40, 80] and 0.9 < sum(spent) < 1


def test_a_share_is_inside_its_limits_at_all_looks_together():
    """Of five equally frequent values whose means differ, the share in truth is known from a large sample."""
    random, wrong = np.random.default_rng(4), []
    for effect in (0.0, 1.0):
        kinds = random.integers(0, 5, 40_000)
        truth = share(list(kinds), effect * kinds + random.normal(size=40_000))
        for _ in range(150):
            kinds = random.integers(0, 5, 160)
            low, high, last = share_sequence(list(map(str, kinds)), effect * kinds + random.normal(size=160), 0.05)
            wrong.append(not low <= truth <= high)
            assert last == 160
    assert np.mean(wrong) <= 0.05


def test_a_parameter_that_decides_and_one_that_does_not_are_told_in_time():
    random = np.random.default_rng(5)
    kinds = random.integers(0, 3, 320)
    assert share_sequence(list(map(str, kinds)), kinds + 0.1 * random.normal(size=320), 0.05)[0] > 0.5
    assert share_sequence(list(map(str, kinds)), random.normal(size=320), 0.05)[1] < 0.1
    assert share_sequence(["a"] * 50, random.normal(size=50), 0.05) == (0.0, 1.0, 0)
    assert configurations_needed(3, 0.0, 0.1, 0.05) in (80, 160, 320) and configurations_needed(3, 0.8, 0.1, 0.05) == 20
    assert np.isinf(configurations_needed(3, 0.1, 0.1, 0.05)) and np.isnan(share(["a", "a"], np.arange(2.0)))


def test_limits_are_right_for_the_small_errors_of_many_claims_and_for_large_shares():
    """Where SciPy's own inverse stops at a non-centrality of 11 instead of 96, and at 10,000."""
    for ratio, tail in ((27.0, 2e-5), (27.0, 0.025), (2e4, 0.025)):
        for chance in (tail, 1 - tail):
            found = non_centrality(8, 311, ratio, chance)
            assert stats.ncf.sf(ratio, 8, 311, found) == pytest.approx(1 - chance, rel=1e-6)
    assert non_centrality(8, 311, 1.0, 0.99) == 0 and non_centrality(8, 311, 1e12, 0.5) == 1e8
    # Where its series does not converge.
    assert non_centrality(2, 20_000, 1112.3, 0.05) == pytest.approx(2386, rel=1e-3)
    kinds = np.random.default_rng(6).integers(0, 9, 320)
    low = share_sequence(list(map(str, kinds)), kinds + 3.0 * np.random.default_rng(7).normal(size=320), 0.05 / 39)[0]
    assert 0.15 < low < 0.4
