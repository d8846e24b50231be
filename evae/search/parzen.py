"""The density that TPE takes trials for, found in pieces that a processor's cache holds.

Optuna's makes arrays of all samples and all trials together for every step of the sum, and looks every category of
every trial up for each sample. With 10,000 trials that takes most of a suggestion. Here one sample follows the other,
equal ones count once, and a category's row is made once: the same sum in the same order (a test compares the bits).
"""

from collections.abc import Callable

import numpy as np
from optuna.samplers._tpe import _truncnorm
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator
from optuna.samplers._tpe.probability_distributions import (
    _BatchedCategoricalDistributions,
    _BatchedDistributions,
    _log_gauss_mass_unique,
    _unique_inverse_2d,
)

Part = Callable[[int], np.ndarray]
"""A sample -> what it adds to the logarithm of each kernel's density; good until the next call."""


class Parzen(_ParzenEstimator):
    """Optuna's mixture of kernels, one for each trial and one for the space."""

    def log_pdf(self, samples_dict: dict[str, np.ndarray]) -> np.ndarray:
        """(samples,) logarithms of the density."""
        mixture = self._mixture_distribution
        samples, which = np.unique(self._transform(samples_dict), axis=0, return_inverse=True)
        pairs = list(zip(samples.T, mixture.distributions, strict=True))
        smooth = [(x, of) for x, of in pairs if _is_smooth(of)]
        parts = [part for x, of in pairs if not _is_smooth(of) for part in _tables(x, of)]
        parts += [_smooth(smooth)] if smooth else []
        weights = np.log(mixture.weights)
        tops, sums = np.empty(len(samples)), np.empty(len(samples))
        row = np.empty(len(weights))
        for sample in range(len(samples)):
            row.fill(0.0)
            for part in parts:
                row += part(sample)
            row += weights
            top = row.max()
            tops[sample] = 0.0 if np.isneginf(top) else top
            row -= tops[sample]
            sums[sample] = np.exp(row, out=row).sum()
        with np.errstate(divide="ignore"):
            return (np.log(sums) + tops)[which.reshape(-1)]


def _is_smooth(of: _BatchedDistributions) -> bool:
    return not isinstance(of, _BatchedCategoricalDistributions) and of.step == 0.0


def _tables(x: np.ndarray, of: _BatchedDistributions) -> list[Part]:
    """Of a parameter with few values, which are looked up."""
    if isinstance(of, _BatchedCategoricalDistributions):
        values, at = np.unique(x.astype(np.int64), return_inverse=True)
        table = np.log(np.ascontiguousarray(of.weights.T[values]))
        return [lambda sample: table[at[sample]]]
    values, at = np.unique(x, return_inverse=True)
    mu, sigma, back = _unique_inverse_2d(of.mu, of.sigma)
    edges = [values - of.step / 2, values + of.step / 2]
    left, right = ((np.log(edge) if of.is_log else edge)[:, None] for edge in edges)
    inside = _log_gauss_mass_unique((left - mu) / sigma, (right - mu) / sigma)
    whole = _truncnorm._log_gauss_mass((of.adapted_low - mu) / sigma, (of.adapted_high - mu) / sigma)
    return [lambda sample: inside[at[sample]][back], lambda sample: -whole[back]]


def _smooth(pairs: list[tuple[np.ndarray, _BatchedDistributions]]) -> Part:
    """Of all parameters that are real numbers: truncated normal densities."""
    xs = [np.log(x) if of.is_log else x for x, of in pairs]
    ends = [(of.adapted_low, of.adapted_high) for _, of in pairs]
    mu, sigma = np.array([of.mu for _, of in pairs]), np.array([of.sigma for _, of in pairs])
    low, high = ((np.array(end)[:, None] - mu) / sigma for end in zip(*ends, strict=True))
    mass = np.ascontiguousarray(_truncnorm._log_gauss_mass(low.T, high.T).T)
    scale = np.log(sigma)
    found, one = np.empty(mu.shape[1]), np.empty(mu.shape[1])

    def part(sample: int) -> np.ndarray:
        found.fill(0.0)
        for i, x in enumerate(xs):
            np.subtract(x[sample], mu[i], out=one)
            np.divide(one, sigma[i], out=one)
            # Rounding is monotone: what lies between the ends lies between them in any kernel's units.
            outside = () if ends[i][0] <= x[sample] <= ends[i][1] else (one < low[i]) | (one > high[i])
            np.multiply(one, one, out=one)
            np.multiply(one, -0.5, out=one)
            np.subtract(one, _truncnorm._norm_pdf_logC, out=one)
            np.subtract(one, mass[i], out=one)
            np.subtract(one, scale[i], out=one)
            if len(outside):
                one[outside] = -np.inf
            np.add(found, one, out=found)
        return found

    return part
