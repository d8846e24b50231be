"""How much of the variance of a metric's ranks a parameter explains by itself, looked at as a study grows."""

from collections.abc import Sequence

import numpy as np

from evae.search.adjusted import Adjusted
from evae.search.variance import Analysis, of_a_ratio

FIRST_LOOK = 20
"""Configurations at the first look; then at twice as many each time."""


def looks(n: int) -> list[tuple[int, float]]:
    """(configurations, share of the error that is spent there) of the looks that `n` configurations have come to.

    The k-th spends 1 / (k (k + 1)), so that all there can ever be spend 1: a spending function in the sense of Lan &
    DeMets, Discrete sequential boundaries for clinical trials, Biometrika 70 (1983), 659-663, whose looks need not be
    known before; added up by Bonferroni's inequality, which also holds for tests that are not normal.
    """
    found, size, k = [], FIRST_LOOK, 1
    while size <= n:
        found.append((size, 1 / (k * (k + 1))))
        size, k = 2 * size, k + 1
    return found


def analysis(values: list[object], metric: np.ndarray, others: Sequence[list[object]] = ()) -> Analysis | Adjusted:
    """What `metric` (n,) says of a parameter's `values`, beside the `others` where these were set independently of it,
    and n is enough to know of them."""
    if others and (found := Adjusted(values, metric, others)).is_known:
        return found
    return Analysis(values, metric)


def share(values: list[object], metric: np.ndarray, others: Sequence[list[object]] = ()) -> float:
    """Share of the variance of the ranks of `metric` (n,) that lies between the groups of a parameter's `values`, less
    what chance is expected to put there (epsilon squared, Kelley 1935); NaN where there are no two groups, or none with
    two members."""
    return analysis(values, metric, others).share


def share_sequence(
    values: list[object], metric: np.ndarray, error: float, others: Sequence[list[object]] = ()
) -> tuple[float, float, int]:
    """(lower, upper limit of the share, how many configurations were there at the last look).

    At all looks together the limits, those of `analysis`, hold the truth with a probability of about 1 - error
    (benchmarks/results/claims.md). They suppose that configurations are drawn independently of one another's values,
    which a sampler that learns does only roughly; of a parameter that only some methods have they speak of those alone.
    """
    low, high, last = 0.0, 1.0, 0
    for n, spent in looks(len(metric)):
        found = analysis(values[:n], metric[:n], [one[:n] for one in others])
        if found.is_known:
            last, (below, above) = n, found.limits(spent * error / 2)
            low, high = max(low, below), min(high, above)
    return float(low), float(max(low, high)), last


def configurations_needed(kinds: int, share: float, limit: float, error: float, noise: float | None = None) -> float:
    """How many configurations in all it takes until a share that is estimated so, of a parameter with so many values,
    is told from `limit`; infinite beyond a dozen looks. `noise` is the variance that all parameters leave; without it,
    this one leaves all else."""
    for n, spent in looks(FIRST_LOOK * 2**12):
        one, rest = kinds - 1, n - kinds
        if one >= 1 and rest >= 1:
            ratio = 1 + share / (noise or 1 - min(share, 0.999)) * n / one
            low, high = of_a_ratio(one, rest, ratio, spent * error / 2)
            if noise:
                low, high = (noise * end / max(1e-9, 1 - end) for end in (low, high))
            if low > limit or high < limit:
                return n
    return np.inf
