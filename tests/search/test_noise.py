"""How much a value differs between seeds, by draws whose spread is known."""

import numpy as np
import pytest
from scipy import stats

from evae.search import noise
from evae.search.noise import Noise

THREE = np.array([[-1.0, 0.0, 1.0], [0.0, 1.0, -1.0], [1.0, -1.0, 0.0], [1.0, 0.0, -1.0]])
"""Deviations of three seeds, of which hardly anything is common to a seed."""


def test_equal_spreads_are_nearly_those_of_an_analysis_of_variance():
    values = np.array([[2.1, 1.9, 2.2], [10.0, 9.8, np.nan], [7.0, np.nan, np.nan], [np.nan] * 3])
    found = noise.of(values)
    pooled = np.sqrt((2 * np.var(values[0], ddof=1) + np.var(values[1, :2], ddof=1)) / 3)
    np.testing.assert_allclose(found.error[:3] * np.sqrt([3, 2, 1]), pooled, rtol=0.2)
    assert np.isnan(found.error[3]) and (found.freedom[:3] > 0.9).all() and (found.freedom <= 3).all()


@pytest.mark.parametrize("means", [[0.0002, 1, 2, 3], [0, 0, 0, 0], [-0.001, 0, -2, 3], [-115, -116, -115.5, -117]])
def test_a_mean_near_zero_changes_nothing(means: list[float]):
    found = noise.of(np.array(means, float)[:, None] + 0.02 * THREE)
    np.testing.assert_allclose(found.error, noise.of(50 + 0.02 * THREE).error)
    np.testing.assert_allclose(found.error, 0.02 / np.sqrt(3), rtol=0.2)


def test_each_mean_has_the_spread_of_its_size():
    """A collapsed VAE's rate beside those of others: the spread grows with the mean, but not from 0."""
    means, deviations = np.array([0.0004, 0.0003, 20.0, 22.0, 40.0]), np.array([0.0004, 0.0005, 0.1, 0.12, 0.2])
    found = noise.of(means[:, None] + deviations[:, None] * np.vstack([THREE, [-1, 1, 0]]))
    assert (np.abs(np.log2(found.error * np.sqrt(3) / deviations)) < 1).all()
    assert (found.freedom > 3).all()


def test_signs_units_and_order_make_no_difference():
    rng = np.random.default_rng(0)
    means, has = np.geomspace(0.01, 100, 12), np.arange(3) < rng.integers(1, 4, 12)[:, None]
    values = np.where(has, means[:, None] * (1 + rng.normal(0, 0.1, (12, 3))), np.nan)
    groups = rng.choice(list("abc"), 12)
    found = noise.of(values, groups)
    for by in (-1.0, 1e-9, 1e9):
        other = noise.of(by * values, groups)
        np.testing.assert_allclose(other.error, abs(by) * found.error)
        np.testing.assert_allclose(other.freedom, found.freedom)
    np.testing.assert_allclose(noise.of(values[::-1, ::-1], groups[::-1]).error, found.error[::-1])


def test_without_a_second_seed_nothing_is_known():
    for values in (np.ones((2, 1)), np.array([[1.0, np.nan], [np.nan, 2.0]]), np.zeros((0, 3))):
        found = noise.of(values)
        assert np.isnan(found.error).all() and not found.freedom.any() and len(found.error) == len(values)
        assert not noise.beaten(np.arange(len(values))[:, None], [found]).any()


def test_seeds_that_all_agree_have_no_spread_but_rounding():
    found = noise.of(np.array([[0.0, 0.0, np.nan], [12.0, 12.0, 12.0]]))
    assert found.error[0] == 0 and 0 < found.error[1] < 1e-5 and (found.freedom == 3).all()
    assert noise.beaten(np.array([[0.0], [12.0]]), [found]).tolist() == [False, True]


def test_of_models_that_are_the_same_only_the_seeds_are_known():
    """Three seeds have two degrees of freedom, however many configurations repeat them; none differs from another."""
    values = np.array([[1.0, 2.0, 4.0]] * 5)
    found = noise.of(values)
    assert found.error == pytest.approx(stats.sem(values[0]), rel=0.05)
    assert found.freedom == pytest.approx(2, rel=0.2)
    assert noise.critical(found, np.array([0]), np.array([1]), 0.025)[0, 0] < 0.1
    assert not noise.beaten(values.mean(axis=1)[:, None], [found]).any()


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
    for _ in range(300):
        found.append(noise.of(means[:, None] + spread[:, None] * rng.normal(size=(12, 3))).own * np.sqrt(3))
    assert np.abs(np.log(np.median(found, axis=0) / spread)).max() < 0.25


def test_a_configuration_that_is_noisier_than_others_has_the_wider_spread():
    """Shrunk, not pooled: where spreads differ fourfold, five seeds tell, and their degrees of freedom are fewer."""
    rng, spread = np.random.default_rng(0), np.array([0.5, 1.0, 2.0])[np.arange(60) % 3]
    found = noise.of(10 + spread[:, None] * rng.normal(size=(60, 5)))
    medians = [np.median(found.error[spread == s]) * np.sqrt(5) for s in (0.5, 1.0, 2.0)]
    assert medians == pytest.approx([0.6, 1.0, 1.7], abs=0.3)
    assert (found.freedom > 4).all() and (found.freedom < 20).all()


def test_a_group_of_one_seed_each_has_the_spread_of_those_of_two():
    """Of the noisier group a single seed is known to be noisier, too, which its own values cannot say."""
    rng, group = np.random.default_rng(0), np.arange(40) % 2
    values = 10 + np.array([0.5, 3.0])[group, None] * rng.normal(size=(40, 2))
    values[:8, 1] = np.nan
    found = noise.of(values, group)
    assert found.error[:8][group[:8] == 0] == pytest.approx(0.5, rel=0.5)
    assert found.error[:8][group[:8] == 1] == pytest.approx(3.0, rel=0.5)


@pytest.mark.parametrize("freedom", [2.0, 6.0])
def test_the_prior_is_found_from_the_scatter_of_the_variances(freedom: float):
    """Variances drawn from the prior of Smyth's model, with four degrees of freedom of their own."""
    rng = np.random.default_rng(0)
    own = 3.0 * freedom / rng.chisquare(freedom, 3000) * rng.chisquare(4, 3000) / 4
    every = np.full(3000, 4.0)
    variance, degrees = noise._moderated(4 * own, every, 3000 * every, noise.PRIORS, noise.EQUAL)
    np.testing.assert_allclose(variance, (freedom * 3.0 + 4 * own) / (freedom + 4), rtol=0.3)
    assert degrees == pytest.approx(freedom + 4, rel=0.4)


def test_a_difference_without_common_seeds_is_welchs():
    one, two = np.array([3.1, 2.7, 3.6, 2.9]), np.array([4.0, 4.9, 2.2])
    error = np.array([stats.sem(one), stats.sem(two)])
    of = Noise(error, np.array([3.0, 2.0]), error, np.array([3.0, 2.0]), np.zeros((2, 4)))
    wanted = stats.ttest_ind(one, two, equal_var=False)
    # The variances share nothing here, and the degrees of freedom lie between those of each.
    assert 2 < wanted.df < 3
    half = noise.critical(of, np.array([0]), np.array([1]), 0.025)[0, 0]
    assert half == pytest.approx(wanted.confidence_interval(0.95).high - (one.mean() - two.mean()), rel=1e-3)


def test_a_difference_of_the_same_seeds_leaves_out_what_is_common_to_them():
    """As a paired test does, and the interval of a mean does not. What one lacks a seed of is not left out."""
    rng = np.random.default_rng(0)
    values = 10 + 5 * rng.normal(size=(1, 6)) + 0.5 * rng.normal(size=(12, 6))
    found = noise.of(values)
    apart = noise.critical(found, np.array([0]), np.array([1]), 0.025)[0, 0]
    assert apart == pytest.approx(stats.t.ppf(0.975, 55) * 0.5 * np.sqrt(2 / 6), rel=0.3)
    assert np.median(found.half(0.025)) > 2
    values[1, 3:] = np.nan
    assert noise.critical(noise.of(values), np.array([0]), np.array([1]), 0.025)[0, 0] > 3 * apart


def drawn(kind: str, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Values of equal means, the groups of `arange(n) % 3`."""
    common = np.sqrt({"shared": 0.3, "unequal": 0.3}.get(kind, 0.0))
    own = np.sqrt(1 - common**2) * rng.normal(size=shape) + common * rng.normal(size=(1, shape[1]))
    if kind == "heavy":
        own = rng.standard_t(3, shape) / np.sqrt(3)
    spread = np.array([0.5, 1.0, 2.0])[np.arange(shape[0]) % 3, None] if kind == "unequal" else 1.0
    return 10 + spread * (own + 6 * (rng.random(shape) < 0.1) * (kind == "bad seeds"))


KINDS = ("normal", "shared", "unequal", "heavy", "bad seeds")


@pytest.mark.parametrize("shape", [(7, 3), (30, 2)])
@pytest.mark.parametrize("kind", KINDS)
def test_among_equals_each_is_beaten_at_most_as_often_as_said(kind: str, shape: tuple[int, int]):
    rng, called = np.random.default_rng(0), []
    for _ in range(200):
        values = drawn(kind, shape, rng)
        of = noise.of(values, np.arange(len(values)) % 3)
        called.append(noise.beaten(values.mean(axis=1)[:, None], [of]).mean())
    assert np.mean(called) < 0.05 + 4 * np.std(called) / np.sqrt(200)


@pytest.mark.parametrize("kind", ["normal", "shared", "unequal"])
def test_intervals_of_the_noisiest_group_hold_and_power_is_that_of_the_pooled_test(kind: str):
    """30 configurations of two seeds in three groups; a difference of two standard deviations of a seed."""
    rng, held, told, pooled = np.random.default_rng(0), [], [], []
    some, others = np.arange(15), np.arange(15, 30)
    for _ in range(150):
        values = drawn(kind, (30, 2), rng)
        of, means = noise.of(values, np.arange(30) % 3), values.mean(axis=1)
        held.append((np.abs(means - 10) <= of.half(0.025))[2::3].mean())
        gap = 2 + means[others] - means[some]
        told.append((gap > np.diag(noise.critical(of, others, some, 0.025))).mean())
        pooled.append((gap > stats.t.ppf(0.975, 30) * np.sqrt(values.var(axis=1, ddof=1).mean())).mean())
    assert np.mean(held) > 0.93
    assert np.mean(told) > np.mean(pooled) + (-0.04 if kind == "normal" else 0.05)


def test_many_configurations_are_compared_as_few_are(monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(2, 50, 1)) + rng.uniform(0.1, 0.3, (2, 50, 1)) * rng.normal(size=(2, 50, 4))
    values[:, np.arange(4) >= rng.integers(1, 5, 50)[:, None]] = np.nan
    means, noises = np.nanmean(values, axis=2).T, [noise.of(of) for of in values]
    tail = 0.05 / (49 * 2)
    gaps = [m[None] - m[:, None] for m in means.T]
    apart = [gap > noise.critical(of, slice(None), slice(None), tail) for gap, of in zip(gaps, noises, strict=True)]
    each = ((gaps[0] >= 0) & (gaps[1] >= 0) & (apart[0] | apart[1])).any(axis=0)
    assert (noise.beaten(means, noises) == each).all() and 0 < each.sum() < 50
    monkeypatch.setattr(noise, "BLOCK", 7)
    monkeypatch.setattr(noise, "LEADERS", 3)
    assert (noise.beaten(means, noises) == each).all()
