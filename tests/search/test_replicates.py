"""Which configurations deserve more seeds."""

import numpy as np

from evae.search.replicates import near_front


def single(*means: tuple[float, ...]) -> list[bool]:
    values = np.array(means, dtype=float)
    return near_front(values, np.zeros_like(values), [1] * len(values)).tolist()


def test_without_replicates_the_front_alone_is_near():
    assert single((1, 3), (2, 2), (3, 1), (3, 3), (2, 2)) == [True, True, True, False, True]


def test_what_is_dominated_within_noise_is_near_and_what_is_dominated_clearly_is_not():
    # A spread of 0.1 from the first; a single run has an error of about 0.1, a difference one of about 0.12.
    means = np.array([[1.0, 1.0], [1.1, 1.1], [1.0, 1.5]])
    deviations = np.array([[0.1, 0.1], [0, 0], [0, 0]])
    assert near_front(means, deviations, [3, 1, 1]).tolist() == [True, True, False]


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


def test_two_equal_configurations_are_seldom_told_apart():
    """The docstring's 2.2 %, by drawing: two objectives, known spread."""
    rng = np.random.default_rng(2)
    draws, seeds = 2000, 4
    given_up = 0
    for _ in range(draws):
        # 40 other configurations, far behind with the same spread, make it as good as known.
        values = rng.normal(10.0, 1.0, (42, seeds, 2))
        values[2:] += 10
        near = near_front(values.mean(axis=1), values.std(axis=1, ddof=1), [seeds] * 42)
        given_up += not near[0]
    assert abs(given_up / draws - 0.022) < 0.01
