"""Which configurations deserve more seeds."""

import numpy as np
import pytest

from evae.search.replicates import near_front


def single(*means: tuple[float, ...]) -> list[bool]:
    values = np.array(means, dtype=float)
    return near_front(values, np.zeros_like(values), [1] * len(values)).tolist()


def test_without_replicates_all_are_near():
    """Without a known spread the best in truth may be any."""
    assert all(single((1, 3), (2, 2), (3, 1), (3, 3), (2, 2)))


def test_what_is_dominated_within_noise_is_near_and_what_is_dominated_clearly_is_not():
    # A spread of 0.1 from the first; a single run has an error of about 0.1, a difference one of about 0.12.
    means = np.array([[1.0, 1.0], [1.1, 1.1], [1.0, 1.5]])
    deviations = np.array([[0.1, 0.1], [0, 0], [0, 0]])
    assert near_front(means, deviations, [30, 1, 1]).tolist() == [True, True, False]


def test_more_seeds_settle_the_same_difference():
    means, deviations = np.array([[1.0], [1.1]]), np.array([[0.1], [0.11]])
    assert near_front(means, deviations, [3, 3]).tolist() == [True, True]
    assert near_front(means, deviations, [50, 50]).tolist() == [True, False]


def test_signs_and_units_of_an_objective_make_no_difference():
    rng = np.random.default_rng(1)
    means, deviations, counts = rng.normal(5, 1, (12, 2)), rng.uniform(0.1, 0.3, (12, 2)), rng.integers(1, 4, 12)
    found = near_front(means, deviations, counts)
    assert (near_front(means * [100, 0.01], deviations * [100, 0.01], counts) == found).all()
    assert 0 < found.sum() < 12


def test_a_mean_of_zero_makes_nothing_else_near():
    """An unbiased kernel distance may be 0, or below it, where a model is good."""
    means = np.array([[0.0], [0.3], [-0.001], [2.0]])
    assert near_front(means, np.full((4, 1), 0.02), [3, 3, 3, 3]).tolist() == [True, False, True, False]


@pytest.mark.parametrize(("truth", "others"), [(0.0, 0.0), (-1.0, 0.0)], ids=["equal", "best by one"])
def test_the_best_is_seldom_given_up(truth: float, others: float):
    """The docstring's 5 %, by drawing: 30 configurations of one seed, some of two; 22 of 200 have 0.1 % at 5 %."""
    rng, given_up = np.random.default_rng(2), 0
    for _ in range(200):
        values, counts = rng.normal(others, 1.0, (30, 2)), np.r_[np.full(8, 2), np.ones(22)]
        values[-1] += truth - others
        values[8:, 1] = values[8:, 0]
        near = near_front(values.mean(axis=1)[:, None], values.std(axis=1, ddof=1)[:, None], counts)
        given_up += not near[-1]
    assert given_up <= 22
