"""How much a value differs from seed to seed: one model for the race and for the report's intervals."""

import numpy as np

TAUS = 25
"""Sizes of a mean, evenly spaced in their logarithm, that are tried as the one from which on the spread grows."""


def between_seeds(means: np.ndarray, deviations: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, float]:
    """((n,) standard deviation between single seeds of each configuration, degrees of freedom behind it).

    `means` and `deviations` (n,), the sample standard deviation, are over `counts` (n,) seeds; those of configurations
    with fewer than two do not count. Two or three seeds say little about their own spread, so that of all
    configurations is pooled. Supposed is that configurations with the same mean have the same spread, and that it is

    - the same for all, as in a one-way analysis of variance; or, where that explains the deviations clearly better,
    - c sqrt(tau^2 + mean^2), which is constant for means far below tau and proportional to those far above it
      (the two-component model of Rocke & Durbin, J. Comput. Biol. 8 (2001), 557-569).

    A distance or a sharpness, whose means differ many times over, has the second kind of spread. A spread relative to
    the mean alone would have no limit where a mean is near 0, and one spread for all would be wrong for each mean that
    is not of the usual size. tau is what makes the deviations most likely, for normal values; clearly better means a
    logarithm of the likelihood greater by more than 1, the price that Akaike puts on a parameter, which also costs a
    degree of freedom. NaN and 0 degrees where no configuration has two seeds.
    """
    freedom = np.maximum(np.asarray(counts, float) - 1, 0)
    known, total = freedom > 0, float(freedom.sum())
    if not total:
        return np.full(len(means), np.nan), 0.0
    size, unit = np.abs(means), float(np.max(deviations[known]))
    if not unit:
        return np.zeros(len(means)), total
    squares, freedom, seen = (deviations[known] / unit) ** 2, freedom[known], size[known]

    def fit(shape: np.ndarray) -> tuple[float, float]:
        """(c^2, logarithm of the likelihood up to a constant) where variances are c^2 times `shape`."""
        scale = float(freedom @ (squares / shape)) / total
        return scale, -0.5 * float(freedom @ np.log(scale * shape))

    scale, constant = fit(np.ones(len(seen)))
    most, cost, variance = constant + 1, 0, np.full(len(size), scale)
    for tau in np.geomspace(seen[seen > 0].min() / 3, 3 * seen.max(), TAUS) if seen.any() else []:
        scale, likelihood = fit(1 + (seen / tau) ** 2)
        if likelihood > most:
            most, cost, variance = likelihood, 1, scale * (1 + (size / tau) ** 2)
    return unit * np.sqrt(variance), total - cost
