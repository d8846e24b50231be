"""The bound of a model whose prior is on the training points' codes, its exact likelihood, and the exact posterior.

p(x) = (1 / N) sum over i of p(x | z_i): the empirical model of papers on index posteriors.
"""

from __future__ import annotations

import math

import numpy as np

from evae.inference.weights import Weights, softmax_rows


def bound(weights: Weights, log_likelihoods: np.ndarray, count: int) -> np.ndarray:
    """sum over i of W_ni ln p(x_n | z_i) + H(W_n) - ln N of the points n of these rows, in nats; `log_likelihoods` are
    of the codes that a row names, as the weights are, and `count` is N.

    At most ln p(x_n), and equal to it where W is the exact posterior: the gap is KL(W_n, exact).
    """
    given = np.where(weights.weight > 0, weights.weight * log_likelihoods, 0.0).sum(1)
    return given + weights.entropy - math.log(count)


def log_likelihood(log_likelihoods: np.ndarray) -> np.ndarray:
    """ln p(x_n) of each row (n,), in nats, of the ln p(x_n | z_i) of all N codes, (n, N)."""
    from scipy.special import logsumexp

    return logsumexp(log_likelihoods, axis=1) - math.log(log_likelihoods.shape[1])


def exact_weights(index: np.ndarray, log_likelihoods: np.ndarray) -> Weights:
    """p(i | x_n) among the codes that each row of `index` (N, k) names: exact where these are all."""
    return softmax_rows(index, log_likelihoods)


def gaussian(x: np.ndarray, means: np.ndarray, scale: float) -> np.ndarray:
    """ln N(x; mean, scale^2 I) of every point x (n, d) under every mean (m, d): (n, m), in nats."""
    from scipy.spatial.distance import cdist

    constant = x.shape[1] * (math.log(scale) + 0.5 * math.log(2 * math.pi))
    return -0.5 * cdist(x, means, "sqeuclidean") / scale**2 - constant
