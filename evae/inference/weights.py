"""Posterior weights over training points, and what they make of the points.

Our reading of Yacoby et al., "Towards Model-Agnostic Posterior Approximation for Fast and Accurate Variational
Autoencoders" (arXiv 2403.08941), whose text and code were not at hand: MAPA-inspired, and not MAPA.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from evae.errors import UserError
from evae.inference.neighbours import Neighbours


@dataclass(frozen=True)
class Weights:
    """W: the row of a point n gives `weight[n]` (k,) to the points `index[n]`, and none to all others; both are (N, k).
    A row sums to 1."""

    index: np.ndarray
    weight: np.ndarray

    @property
    def entropy(self) -> np.ndarray:
        """H(W_n) of each row (N,), in nats."""
        from scipy.special import entr

        return entr(self.weight).sum(1)

    @property
    def perplexity(self) -> float:
        """exp of the mean entropy: as many points share a row, from 1 to N."""
        return math.exp(self.entropy.mean())

    @property
    def columns(self) -> np.ndarray:
        """c_i, what all rows together give to a point (N,); their sum is N."""
        return np.bincount(self.index.ravel(), self.weight.ravel(), minlength=len(self.index))

    def part(self, rows: slice) -> Weights:
        """Those of some points."""
        return Weights(self.index[rows], self.weight[rows])

    def to(self, values: np.ndarray) -> np.ndarray:
        """The transpose of W times values (N, d)."""
        from scipy.sparse import csr_array

        n, k = self.index.shape
        matrix = csr_array((self.weight.ravel(), self.index.ravel(), np.arange(0, n * k + 1, k)), shape=(n, n))
        return matrix.T @ values


def kernel_weights(neighbours: Neighbours, width: float) -> Weights:
    """W_ni = softmax over i of -|x_n - x_i|^2 / (2 width^2), of the neighbours i of each point.

    Towards width 0 each point has itself alone (and its copies), towards infinity all its neighbours evenly. Invariant
    to rotations and shifts of the points. Raises UserError for a width that is not above 0.
    """
    if not 0 < width < math.inf:
        raise UserError(f"the width of the posterior weights must be above 0, got {width:g}")
    with np.errstate(over="ignore"):
        return softmax_rows(neighbours.index, -0.5 * (neighbours.squared - neighbours.squared[:, :1]) / width / width)


def softmax_rows(index: np.ndarray, logits: np.ndarray) -> Weights:
    """The rows' weights from their logarithms but for a constant."""
    weight = np.exp(logits - logits.max(1, keepdims=True))
    return Weights(index, weight / weight.sum(1, keepdims=True))


@dataclass(frozen=True)
class Targets:
    """What a decoder learns at the code of a point i: the `mean` m_i (N, d) of the points that W gives it to, counted
    `weight` c_i (N,), and the sum over dimensions of their `variance` about it (N,).

    sum over n of W_ni |x_n - f|^2 = c_i (|m_i - f|^2 + variance_i), for any f.
    """

    mean: np.ndarray
    weight: np.ndarray
    variance: np.ndarray

    def mean_square(self, decoded: np.ndarray) -> float:
        """(1 / N) sum over n, i of W_ni |x_n - f_i|^2 of decoded f (N, d)."""
        errors = np.square(self.mean - decoded).sum(1) + self.variance
        return float(self.weight @ errors / len(errors))

    def scale(self, decoded: np.ndarray) -> float:
        """The standard deviation of a number that makes such points the likeliest: sigma in closed form."""
        return math.sqrt(self.mean_square(decoded) / decoded.shape[1])


def targets(weights: Weights, x: np.ndarray) -> Targets:
    """Those of the points x (N, d)."""
    centre = x.mean(0)
    away = np.asarray(x, dtype=np.float64) - centre
    columns = weights.columns
    # A point to which all rows give nothing counts for nothing.
    share = np.maximum(columns, np.finfo(float).tiny)
    mean = weights.to(away) / share[:, None]
    square = weights.to(np.square(away).sum(1)[:, None])[:, 0] / share
    return Targets(mean + centre, columns, np.maximum(square - np.square(mean).sum(1), 0.0))
