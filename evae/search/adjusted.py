"""A parameter's share beside all others: what these explain is no noise, so that far fewer configurations tell.

For configurations whose parameters were set independently of each other, as in a grid. There a parameter's share is
the same with and without the others in the model, but they may leave a twentieth of the variance to tell it from (an
analysis of covariance: Fisher, Statistical Methods for Research Workers, 1932; that it holds in randomised designs
whatever the others truly do: Lin, Annals of Applied Statistics 7 (2013), 295-318).
"""

from collections.abc import Sequence

import numpy as np
from scipy import special

from evae.search.variance import labels, non_centrality, standardised

DEGREE = 3
"""Of the polynomial of a number's rank that stands for what it does."""


class Adjusted:
    """An analysis of covariance of the ranks of `metric` (n,) between the groups of a parameter's `values`, beside the
    `others`: lists of n values each."""

    def __init__(self, values: list[object], metric: np.ndarray, others: Sequence[list[object]]):
        kinds, group = np.unique(labels(values), return_inverse=True)
        self.ranks, n = standardised(metric), len(metric)
        groups = np.eye(len(kinds))[group][:, 1:]
        beside = np.hstack([np.ones((n, 1)), *map(_columns, others)])
        both = np.hstack([beside, groups])
        before, rank = _left(beside, self.ranks)
        self.left, of_both = _left(both, self.ranks)
        self.one, self.rest = of_both - rank, n - of_both
        # Where others and groups take up most of the configurations, nothing is known.
        self.is_known = self.one == len(kinds) - 1 >= 1 and self.rest >= n / 2
        if not self.is_known:
            return
        self.noise = max(float(self.left @ self.left) / self.rest, 1e-9)
        self.ratio = float(before @ before - self.left @ self.left) / self.one / self.noise
        means = groups @ np.linalg.lstsq(both, self.ranks, rcond=None)[0][-groups.shape[1] :]
        self.means = means - means.mean()

    @property
    def share(self) -> float:
        """What the parameter explains, less what chance is expected to."""
        return float(np.clip(self.one * (self.ratio - 1) * self.noise / len(self.ranks), 0, 1))

    def limits(self, tail: float) -> tuple[float, float]:
        """(lower, upper limit of the share), each wrong with a probability of about `tail`.

        Those of the non-central F distribution are for the configurations that were drawn. Others would have had other
        numbers of each value, and other extremes: by how much that changes a share is added, both as logarithms.
        """
        n, share = len(self.ranks), max(self.share, 1e-9)
        low = non_centrality(self.one, self.rest, self.ratio, 1 - tail) * self.noise / n
        high = non_centrality(self.one, self.rest, max(1.0, self.ratio), tail) * self.noise / n
        drawn = (self.means**2 / max(float((self.means**2).mean()), 1e-12) - self.ranks**2).std() / np.sqrt(n)
        below, above = (
            np.hypot(np.log(share / end), special.ndtri(1 - tail) * drawn) for end in (max(low, 1e-12), high)
        )
        return float(share * np.exp(-below)) if low > 0 else 0.0, min(1.0, float(share * np.exp(above)))


def _columns(values: list[object]) -> np.ndarray:
    """(n, p): polynomials of a number's rank, and a column for each but the first of other values."""
    numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values)
    if numbers and len(set(values)) > DEGREE + 1:
        place = np.searchsorted(np.sort(np.array(values, float)), np.array(values, float)) / (len(values) - 1)
        return np.polynomial.legendre.legvander(2 * place - 1, DEGREE)[:, 1:]
    kinds, group = np.unique([str(value) for value in values], return_inverse=True)
    return np.eye(len(kinds))[group][:, 1:]


def _left(columns: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, int]:
    """What a linear model of the columns leaves of the values, and its degrees of freedom."""
    found, _, rank, _ = np.linalg.lstsq(columns, values, rcond=None)
    return values - columns @ found, int(rank)
