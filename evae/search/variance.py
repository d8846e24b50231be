"""How much of the variance of a metric's ranks a parameter explains: one look at one parameter."""

import numpy as np
from scipy import optimize, special

BINS = 5  # of a number's values, by rank
FARTHEST = 1e8
"""Non-centrality that stands for all above it."""


def labels(values: list[object]) -> np.ndarray:
    """(n,) integers for values of a parameter: -1 where it is None; numbers of many values in `BINS` bins of equally
    many, other values each by itself."""
    given = [i for i, value in enumerate(values) if value is not None]
    found, own = np.full(len(values), -1), [values[i] for i in given]
    numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in own)
    if numbers and len(set(own)) > BINS:
        edges = np.quantile(np.array(own, float), np.arange(1, BINS) / BINS)
        found[given] = np.searchsorted(edges, np.array(own, float), side="right")
    else:
        names = {text: i for i, text in enumerate(dict.fromkeys(map(str, own)))}
        found[given] = [names[str(v)] for v in own]
    return found


def standardised(metric: np.ndarray) -> np.ndarray:
    """The ranks of `metric` (n,), with mean 0 and variance 1."""
    ranks = np.argsort(np.argsort(metric, kind="stable"), kind="stable").astype(float)
    return (ranks - ranks.mean()) / ranks.std()


class Analysis:
    """An analysis of variance of the ranks of `metric` (n,) between the groups of a parameter's `values` (Kruskal &
    Wallis): degrees of freedom between groups, `one`, and within them, `rest`; and the F ratio."""

    def __init__(self, values: list[object], metric: np.ndarray):
        kinds, self.group = np.unique(labels(values), return_inverse=True)
        self.one, self.rest = len(kinds) - 1, len(metric) - len(kinds)
        self.is_known = self.one >= 1 and self.rest >= 1
        if not self.is_known:
            return
        self.ranks = standardised(metric)
        means = np.bincount(self.group, self.ranks) / np.bincount(self.group)
        self.apart = (self.ranks - means[self.group]) ** 2
        within = max(float(self.apart.mean()), 1e-9)
        self.ratio = (1 - within) / self.one / within * self.rest

    @property
    def share(self) -> float:
        if not self.is_known:
            return np.nan
        return max(0.0, self.one * (self.ratio - 1) / (self.one * self.ratio + self.rest))

    def limits(self, tail: float) -> tuple[float, float]:
        """(lower, upper limit of the share), each wrong with a probability of about `tail`: the wider of two.

        Those of the non-central F distribution are right where groups differ little. Where they differ much, what is
        uncertain is how many configurations each has and how far the farthest lie, as the delta method sees it: with
        the share's influence function, on the logistic scale downwards, and no more degrees of freedom than a group of
        average size has.
        """
        low, high = of_a_ratio(self.one, self.rest, self.ratio, tail)
        share, n = min(max(self.share, 1e-9), 1 - 1e-9), len(self.ranks)
        influence = float(self.apart.mean()) * self.ranks**2 - self.apart
        off = special.stdtrit(max(1.0, n / (self.one + 1) - 1), 1 - tail) * influence.std() / np.sqrt(n)
        below = special.expit(special.logit(share) - off / (share * (1 - share)))
        return min(low, float(below)), max(high, min(1.0, share + off))


def of_a_ratio(one: int, rest: int, ratio: float, tail: float) -> tuple[float, float]:
    """(lower, upper limit of the share) at which F would be as great, or as small, with a probability of `tail`."""
    size = one + rest + 1
    # Less than chance explains is luck, and no evidence of nothing.
    above = non_centrality(one, rest, max(1.0, ratio), tail)
    below = non_centrality(one, rest, ratio, 1 - tail)
    return below / (below + size), above / (above + size)


def non_centrality(one: int, rest: int, ratio: float, chance: float) -> float:
    """That at which F is at most `ratio` with a probability of `chance`; 0 where it is not even at 0. By its root,
    since SciPy's own inverse, ncfdtrinc, stops far below it for chances near one, and never goes beyond 10,000."""

    def beyond(found: float) -> float:
        return _at_most(one, rest, ratio, found) - chance

    if beyond(0.0) <= 0:
        return 0.0
    high = 2.0 * one * ratio
    while high < FARTHEST and beyond(high) > 0:
        high *= 2
    return float(optimize.brentq(beyond, 0.0, high)) if high < FARTHEST else FARTHEST


def _at_most(one: int, rest: int, ratio: float, found: float) -> float:
    """The probability that F is at most `ratio`, for the non-centrality `found`."""
    exact = float(special.ncfdtr(one, rest, found, ratio))
    if not np.isnan(exact):
        return exact
    # The series does not converge for some of tens of thousands of degrees of freedom, where all is about normal.
    spread = np.sqrt(2 * (one + 2 * found) / one**2 + 2 * ratio**2 / rest)
    return float(special.ndtr((ratio - (one + found) / one) / spread))
