"""Posterior weights over training points, their bound and their exact counterpart, as papers-more.md 1.4 has it."""

import math

import numpy as np
import pytest

from evae.errors import UserError
from evae.inference import neighbours as of_points
from evae.inference.bound import bound, exact_weights, gaussian, log_likelihood
from evae.inference.neighbours import Neighbours, nearest
from evae.inference.weights import kernel_weights, targets


def cloud(count: int = 40, dimensions: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, dimensions))


def matrix(weights) -> np.ndarray:
    return weights.to(np.eye(len(weights.index))).T


@pytest.mark.parametrize("count", [None, 7])
@pytest.mark.parametrize("width", [1e-3, 0.4, 50.0])
def test_rows_sum_to_one_and_columns_to_the_number_of_points(count, width):
    weights = kernel_weights(nearest(cloud(), count), width)
    np.testing.assert_allclose(matrix(weights).sum(1), 1)
    np.testing.assert_allclose(weights.columns, matrix(weights).sum(0))
    assert weights.columns.sum() == pytest.approx(40)


def test_towards_width_0_it_is_the_identity_and_towards_infinity_even():
    near = nearest(cloud())
    np.testing.assert_allclose(matrix(kernel_weights(near, 1e-6)), np.eye(40), atol=1e-12)
    np.testing.assert_allclose(matrix(kernel_weights(near, 1e9)), np.full((40, 40), 1 / 40))
    assert kernel_weights(near, 1e-6).perplexity == pytest.approx(1)
    assert kernel_weights(near, 1e9).perplexity == pytest.approx(40)


def test_it_is_the_softmax_of_squared_distances():
    x, width = cloud(6), 0.7
    square = ((x[:, None] - x) ** 2).sum(2)
    expected = np.exp(-square / (2 * width**2))
    np.testing.assert_allclose(matrix(kernel_weights(nearest(x), width)), expected / expected.sum(1, keepdims=True))


def test_rotations_and_shifts_change_nothing():
    x = cloud()
    rotation, _ = np.linalg.qr(cloud(3))
    one, other = (matrix(kernel_weights(nearest(given), 0.5)) for given in (x, x @ rotation + [5.0, -3.0, 100.0]))
    np.testing.assert_allclose(one, other, atol=1e-9)


def test_points_in_another_order_have_the_same_weights():
    x, order = cloud(), np.random.default_rng(1).permutation(40)
    one, other = (matrix(kernel_weights(nearest(given), 0.5)) for given in (x, x[order]))
    np.testing.assert_allclose(one[np.ix_(order, order)], other, atol=1e-12)


def test_the_same_points_have_the_same_bits():
    one, other = (kernel_weights(nearest(cloud()), 0.5) for _ in range(2))
    assert np.array_equal(one.weight, other.weight) and np.array_equal(one.index, other.index)


def test_copies_share_a_point_evenly():
    x = np.repeat(cloud(5), 2, axis=0)
    weights = matrix(kernel_weights(nearest(x), 1e-6))
    np.testing.assert_allclose(weights, np.kron(np.eye(5), np.full((2, 2), 0.5)))


@pytest.mark.parametrize("width", [0.0, -1.0, math.inf, math.nan])
def test_a_width_that_is_none_is_refused(width):
    with pytest.raises(UserError, match="width of the posterior weights must be above 0"):
        kernel_weights(nearest(cloud()), width)


def test_points_that_are_all_one_have_no_scale():
    with pytest.raises(UserError, match="take inference amortised"):
        _ = nearest(np.ones((30, 2))).scale


def test_few_neighbours_are_the_nearest_of_all(monkeypatch):
    x = cloud(60)
    whole = nearest(x)
    monkeypatch.setattr(of_points, "DENSE", 20)  # now a tree or blocks are searched
    few = nearest(x, 9)
    np.testing.assert_array_equal(few.index, whole.index[:, :9])
    np.testing.assert_allclose(few.squared, whole.squared[:, :9], atol=1e-12)


def test_targets_are_all_that_the_squared_error_needs():
    x, decoded = cloud(), cloud(seed=3)
    weights = kernel_weights(nearest(x), 0.6)
    square = ((x[:, None] - decoded) ** 2).sum(2)
    expected = (matrix(weights) * square).sum() / 40
    assert targets(weights, x).mean_square(decoded) == pytest.approx(expected)
    assert targets(weights, x).scale(decoded) == pytest.approx(math.sqrt(expected / 3))


def test_the_bound_is_the_likelihood_where_the_weights_are_exact_and_else_lower_by_their_divergence():
    x, decoded, scale = cloud(), cloud(seed=3), 0.8
    logs = gaussian(x, decoded, scale)
    everyone = np.tile(np.arange(40), (40, 1))
    exact, truth = exact_weights(everyone, logs), log_likelihood(logs)
    np.testing.assert_allclose(bound(exact, logs, 40), truth)
    weights = kernel_weights(nearest(x), 0.6)
    in_order = np.take_along_axis(logs, weights.index, axis=1)
    gap = truth - bound(weights, in_order, 40)
    w, p = matrix(weights), matrix(exact)
    np.testing.assert_allclose(gap, (w * np.log(w / p)).sum(1), atol=1e-9)
    assert (gap > 0).all()


def test_the_likelihood_is_that_of_an_even_mixture():
    x, decoded = cloud(5, 2), cloud(4, 2, seed=3)
    density = np.exp(-((x[:, None] - decoded) ** 2).sum(2) / (2 * 0.5**2)) / (2 * math.pi * 0.5**2)
    np.testing.assert_allclose(np.exp(log_likelihood(gaussian(x, decoded, 0.5))), density.mean(1))


def maximised(x: np.ndarray, weights, maximise) -> np.ndarray:
    """The mean log likelihood in each of 30 rounds: `maximise(targets)` gives decoded points and a scale."""
    everyone, found = np.tile(np.arange(len(x)), (len(x), 1)), []
    for _ in range(30):
        logs = gaussian(x, *maximise(targets(weights, x)))
        found.append(log_likelihood(logs).mean())
        weights = exact_weights(everyone, logs)
    return np.array(found)


def test_expectation_maximisation_never_lowers_the_likelihood():
    """Where the maximisation is exact: of a free table, f(z_i) = m_i, and of a polynomial with the scale in closed
    form."""
    x = cloud(60, 2)
    powers = np.linspace(-1, 1, 60)[:, None] ** np.arange(4)

    def polynomial(wanted):
        root = np.sqrt(wanted.weight)[:, None]
        decoded = powers @ np.linalg.lstsq(powers * root, wanted.mean * root, rcond=None)[0]
        return decoded, wanted.scale(decoded)

    for maximise in (lambda wanted: (wanted.mean, 0.5), polynomial):
        found = maximised(x, kernel_weights(nearest(x), 0.5), maximise)
        assert (np.diff(found) > -1e-9).all()
        assert found[-1] > found[0] + 0.01


def test_many_points_give_the_posterior_of_a_model_with_more_noise():
    """That of noise s0^2 + s^2: its mean and variance of a curve's latent (papers.md 4.2)."""
    random, noise = np.random.default_rng(0), 0.3
    z = random.standard_normal(60_000)

    def curve(z):
        return np.stack([np.cos(1.5 * z), np.sin(1.5 * z)], 1)

    x = curve(z) + noise * random.standard_normal((60_000, 2))
    at = np.array([0.4, 0.8])
    squared = ((x - at) ** 2).sum(1)
    order = squared.argsort()
    weights = kernel_weights(Neighbours(order[None], squared[order][None]), noise)
    weight, z = weights.weight[0], z[weights.index[0]]
    mean = weight @ z
    grid = np.linspace(-6, 6, 4001)
    density = np.exp(-((curve(grid) - at) ** 2).sum(1) / (4 * noise**2) - grid**2 / 2)
    density /= density.sum()
    expected = density @ grid
    assert mean == pytest.approx(expected, abs=0.03)
    assert weight @ (z - mean) ** 2 == pytest.approx(density @ (grid - expected) ** 2, rel=0.06)
    exact = np.exp(-((curve(grid) - at) ** 2).sum(1) / (2 * noise**2) - grid**2 / 2)
    exact /= exact.sum()
    assert density @ (grid - expected) ** 2 > 1.3 * (exact @ (grid - exact @ grid) ** 2)
