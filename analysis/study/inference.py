"""What chance explains: by how much the choice of the best flatters it, whether two objectives go together, and which
parameters bear on an objective.

Functions of arrays; how means differ by noise is in `evae.search.noise`.
"""

import numpy as np
import pandas as pd
from scipy import special

from evae.search.noise import ERROR, ROUNDING, Noise, beaten
from evae.search.variance import non_centrality

DRAWS = 1000
"""Of a simulation: its own error is a thirtieth of the spread that it finds."""
FEWEST = 10  # configurations, below which nothing is said of a parameter, nor of two objectives


def flattery(means: np.ndarray, noise: Noise) -> float:
    """By how much the least of `means` (n,) is expected to be below its own truth, having been chosen for its value;
    NaN where the noise is not known. What seeds have in common with all is no luck of one.

    A parametric bootstrap: means are drawn around what stands for the truth, the least is chosen each time, and its
    distance to its own truth is averaged. The means differ more than the truths do, and choice would seem to cost less
    than it does; so the truths of those that may be the best (`noise.beaten`) are their means shrunk towards the
    average of these, by what of the means' variance noise explains (Efron & Morris, J. Am. Stat. Assoc. 70 (1975),
    311-319). The rest are too far away to matter. In simulations it is right where many are equal in truth, a fifth too
    small where seven are, and up to a half too large where few are near the best (benchmarks/results/verdicts.md).
    """
    if not np.isfinite(noise.own).all() or not len(means):
        return np.nan
    truth, near = means.astype(float), ~beaten(means[:, None], [noise])
    variance = noise.own[near] ** 2
    between = max(0.0, float(np.var(means[near], ddof=1) - variance.mean())) if near.sum() > 1 else 0.0
    # An error of 0 has nothing to shrink.
    kept = between / np.where(variance > 0, between + variance, 1.0) if variance.any() else 1.0
    centre = means[near].mean()
    truth[near] = centre + kept * (means[near] - centre)
    error = np.where(near, noise.own, 0.0)
    luck = error[:, None] * np.random.default_rng(0).normal(size=(len(means), DRAWS))
    chosen = np.argmin(truth[:, None] + luck, axis=0)
    return float(-luck[chosen, np.arange(DRAWS)].mean())


def carried(chosen_by: np.ndarray, shown: np.ndarray, groups: np.ndarray) -> float:
    """How much of a seed's luck in the value that chooses is luck in the value shown, too: the slope of the one over
    the other, (n,) values each, within `groups` (n,) integers; 0 where the first does not vary."""

    def within(values: np.ndarray) -> np.ndarray:
        return values - (np.bincount(groups, values) / np.maximum(1, np.bincount(groups)))[groups]

    one, two = within(chosen_by), within(shown)
    varies = np.abs(one).max(initial=0.0) > ROUNDING * np.abs(chosen_by).max(initial=0.0)
    return float(one @ two / (one @ one)) if varies else 0.0


def correlation(first: np.ndarray, second: np.ndarray, error: float = ERROR) -> tuple[float, bool]:
    """(Spearman's correlation of two sets of values (n,), whether it is more than chance: than that of all but a share
    of `error` of `DRAWS` permutations of one of them, whichever way); (NaN, False) where one does not vary."""
    one, two = (pd.Series(values).rank().to_numpy() - (len(values) + 1) / 2 for values in (first, second))
    if not (one.any() and two.any()):
        return np.nan, False
    random = np.random.default_rng(0)
    drawn = np.stack([two, *(random.permutation(two) for _ in range(DRAWS - 1))])
    found = drawn @ one / np.sqrt((one @ one) * (two @ two))
    return float(found[0]), bool((np.abs(found) >= np.abs(found[0]) - ROUNDING).mean() <= error)


def bearing(parameters: list[np.ndarray], values: np.ndarray, error: float = ERROR) -> tuple[np.ndarray, np.ndarray]:
    """((p,) booleans: which parameters bear on `values` (n,) by more than chance; (p,) the most that each may explain
    of the variance of their ranks by itself, with a confidence of 1 - error, 1 where nothing is known).

    `parameters` are `variance.labels` (n,); those without one (-1) take no part. For each an analysis of variance of
    the ranks (Kruskal & Wallis), whose p-value is compared with the least p-value of all parameters under `DRAWS`
    permutations of the values (Westfall & Young, Resampling-Based Multiple Testing (1993)): of values that are pure
    noise, some parameter is said to bear on them with a probability of at most `error`, however many there are. The
    most that a parameter may explain is the upper limit of the non-central F distribution.
    """
    ranks = np.argsort(np.argsort(values, kind="stable"), kind="stable").astype(float)
    random = np.random.default_rng(0)
    # The first column is as measured.
    drawn = np.stack([ranks, *(random.permutation(ranks) for _ in range(DRAWS - 1))], axis=1)
    chances, most = np.ones((len(parameters), DRAWS)), np.ones(len(parameters))
    for p, label in enumerate(parameters):
        has = label >= 0
        kinds, label = np.unique(label[has], return_inverse=True)
        one, rest = len(kinds) - 1, int(has.sum()) - len(kinds)
        if one < 1 or rest < FEWEST - len(kinds) or rest < 1:
            continue
        among = drawn[has] - drawn[has].mean(axis=0)
        sums = (np.arange(len(kinds))[:, None] == label) @ among
        between = (sums**2 / np.bincount(label)[:, None]).sum(axis=0)
        ratio = between / one / np.maximum((among**2).sum(axis=0) - between, 1e-9) * rest
        chances[p] = special.fdtrc(one, rest, ratio)
        # Less than chance explains is luck, and no evidence of nothing.
        beyond = non_centrality(one, rest, max(1.0, ratio[0]), error)
        most[p] = beyond / (beyond + has.sum())
    least = np.sort(chances.min(axis=0))
    adjusted = np.searchsorted(least, chances[:, 0] * (1 + 1e-9), side="right") / DRAWS
    return adjusted <= error, most
