"""How much a value differs from seed to seed, and when a difference is more than that: one model for the race and for
all that the report says."""

from dataclasses import dataclass

import numpy as np
from scipy import special

TAUS = 25
"""Sizes of a mean, evenly spaced in their logarithm, that are tried as the one from which on the spread grows."""
PRIORS = np.array([1.0, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64])
"""Degrees of freedom that are tried as those of what configurations share of their spread."""
STEPS = 25
"""Of the iteration for the shared variance, which gains a digit in about four."""
ERROR = 0.05
"""Probability with which what is said of differences may be wrong."""
ROUNDING = 1e-6
"""Share of their size by which values differ without meaning: sums in single precision, taken in another order."""
BLOCK = 256  # configurations compared with all others at a time, so that ten thousand fit in memory
NODES = 100  # degrees of freedom at which a quantile is taken, to be interpolated between for a million pairs


@dataclass(frozen=True)
class Noise:
    """Of each configuration's mean: `error` (n,), its standard error, NaN where no configuration has two seeds;
    `freedom` (n,), the degrees of freedom behind it."""

    error: np.ndarray
    freedom: np.ndarray

    def half(self, tail: float) -> np.ndarray:
        """(n,) distance that the mean is from the truth, to one side, with a probability of `tail`."""
        return special.stdtrit(self.freedom, 1 - tail) * self.error


def of_means(means: np.ndarray, deviations: np.ndarray, counts: np.ndarray) -> Noise:
    """The noise of `means` (n,) over `counts` (n,) seeds; arguments as those of `between_seeds`. No error is less than
    rounding."""
    spread, freedom = between_seeds(means, deviations, counts)
    counts = np.where(counts > 0, counts, np.nan)
    return Noise(np.fmax(spread / np.sqrt(counts), ROUNDING / 4 * np.abs(means) + 0 * spread), freedom)


def between_seeds(means: np.ndarray, deviations: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """((n,) standard deviation between single seeds of each configuration, (n,) degrees of freedom behind it).

    `means` and `deviations` (n,), the sample standard deviation, are over `counts` (n,) seeds; those of configurations
    with fewer than two do not count. Two or three seeds say little about their own spread, so that each is shrunk
    towards what all configurations share. The shared variance of configurations with the same mean is the same, and

    - the same for all, as in a one-way analysis of variance; or, where that explains the deviations clearly better,
    - c sqrt(tau^2 + mean^2), squared, which is constant for means far below tau and proportional to those far above it
      (the two-component model of Rocke & Durbin, J. Comput. Biol. 8 (2001), 557-569).

    A distance or a sharpness, whose means differ many times over, has the second kind of spread. A spread relative to
    the mean alone would have no limit where a mean is near 0, and one spread for all would be wrong for each mean that
    is not of the usual size. tau is what makes the deviations most likely, for normal values.

    A configuration's own variance scatters around the shared one as a scaled inverse chi-squared with d0 degrees of
    freedom; its estimate is the posterior mean of Smyth's moderated variances (Stat. Appl. Genet. Mol. Biol. 3 (2004),
    article 3): (d0 shared + d own) / (d0 + d), with d0 + d degrees of freedom. d0 and the shared variance are those
    that make the own ones, which are shared * F(d, d0), most likely. Where d0 explains them no better than one spread
    for all does, d0 is infinite and the variance is pooled, with the degrees of freedom of all seeds together.

    Clearly better means a logarithm of the likelihood greater by more than 1, the price that Akaike puts on a
    parameter; that of tau also costs a degree of freedom. NaN and 0 degrees where no configuration has two seeds.
    """
    own = np.maximum(np.asarray(counts, float) - 1, 0)
    known, total = own > 0, float(own.sum())
    if not total:
        return np.full(len(means), np.nan), np.zeros(len(means))
    size, unit = np.abs(means), float(np.max(deviations[known]))
    if not unit:
        return np.zeros(len(means)), np.full(len(means), total)
    squares, freedom, seen = (deviations[known] / unit) ** 2, own[known], size[known]

    def fit(shape: np.ndarray) -> tuple[float, float]:
        """(c^2, logarithm of the likelihood up to a constant) where variances are c^2 times `shape`."""
        scale = float(freedom @ (squares / shape)) / total
        return scale, -0.5 * float(freedom @ np.log(scale * shape))

    shape, cost, most = np.ones(len(size)), 0, fit(np.ones(len(seen)))[1] + 1
    for tau in np.geomspace(seen[seen > 0].min() / 3, 3 * seen.max(), TAUS) if seen.any() else []:
        likelihood = fit(1 + (seen / tau) ** 2)[1]
        if likelihood > most:
            most, cost, shape = likelihood, 1, 1 + (size / tau) ** 2
    relative = squares / shape[known]
    prior, scale = _shared(relative, freedom)
    if np.isinf(prior):
        return unit * np.sqrt(scale * shape), np.full(len(size), total - cost)
    variance = np.full(len(size), prior * scale)
    variance[known] += freedom * relative
    return unit * np.sqrt(variance / (prior + own) * shape), np.minimum(prior + own, total - cost)


def _shared(squares: np.ndarray, freedom: np.ndarray) -> tuple[float, float]:
    """(d0, shared variance) of own variances `squares` (n,) with `freedom` (n,) degrees each; d0 may be infinite."""
    total = float(freedom.sum())
    pooled = float(freedom @ squares) / total
    degrees, times = np.unique(freedom, return_counts=True)
    half = degrees / 2
    # Of chi-squared over its degrees, and of F below, without the powers of `squares`, which both have.
    normal = float(times @ (half * np.log(half / pooled) - special.gammaln(half))) - total / 2
    d0, sums = PRIORS[:, None], freedom * squares
    scale = np.full((len(PRIORS), 1), pooled)
    for _ in range(STEPS):  # the equation that the derivative's zero makes, as a fixed point
        scale = scale * ((freedom + d0) * sums / (d0 * scale + sums)).sum(axis=1, keepdims=True) / total
    gammas = special.gammaln(half + d0 / 2) - special.gammaln(half) - special.gammaln(d0 / 2)
    known = (times * (gammas + half * np.log(degrees / (d0 * scale)))).sum(axis=1)
    likelihood = known - ((freedom + d0) / 2 * np.log1p(sums / (d0 * scale))).sum(axis=1)
    best = int(np.argmax(likelihood))
    return (float(PRIORS[best]), float(scale[best, 0])) if likelihood[best] > normal + 1 else (np.inf, pooled)


def critical(noise: Noise, j: np.ndarray | slice, k: np.ndarray | slice, tail: float) -> np.ndarray:
    """(len(j), len(k)) difference of the means of configurations j and k that noise alone exceeds, to one side, with a
    probability of `tail`; NaN where the noise is not known.

    Welch's test: errors add up in squares, with the degrees of freedom of Satterthwaite (Biometrics Bull. 2 (1946),
    110-114). Variances share what they are shrunk towards, so that their degrees are not more than one's own.
    """
    one, two = noise.error[j, None] ** 2, noise.error[None, k] ** 2
    most, least = float(noise.freedom.max()), float(noise.freedom.min())
    if most == least:
        quantile = special.stdtrit(most, 1 - tail)
    else:
        with np.errstate(invalid="ignore", divide="ignore"):
            freedom = (one + two) ** 2 / (one**2 / noise.freedom[j, None] + two**2 / noise.freedom[None, k])
        nodes = np.geomspace(least, most, NODES)
        quantile = np.interp(np.minimum(freedom, most), nodes, special.stdtrit(nodes, 1 - tail))
    return quantile * np.sqrt(one + two)


def beaten(means: np.ndarray, noises: list[Noise], error: float = ERROR) -> np.ndarray:
    """(n,) booleans: which configurations are behind another one by more than noise.

    `means` (n, objectives) are to be minimised, `noises` those of each objective. Another is ahead by more than noise
    when its mean is at least as good in every objective, and in one of them better by more than what noise exceeds with
    a probability of error / ((n - 1) objectives), by Welch's test. So one that is in truth as good as all others, or on
    the front, is called beaten with a probability of at most `error`, however many there are: multiple comparisons with
    the best, by Bonferroni's inequality (Hsu, Multiple Comparisons (1996), chapter 4). Those not beaten are, with that
    confidence, a set that holds the best one. Where the noise is not known, nothing is beaten.
    """
    n, objectives = means.shape
    found, tail = np.zeros(n, bool), error / (max(n - 1, 1) * max(objectives, 1))
    for start in range(0, n, BLOCK):
        some = slice(start, start + BLOCK)
        at_least, apart = np.ones((n, len(means[some])), bool), np.zeros((n, len(means[some])), bool)
        for of, noise in zip(means.T, noises, strict=True):
            gap = of[None, some] - of[:, None]
            at_least &= gap >= 0
            apart |= gap > critical(noise, slice(None), some, tail)
        found[some] = (at_least & apart).any(axis=0)
    return found
