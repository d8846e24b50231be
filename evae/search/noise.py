"""How much a value differs from seed to seed, and when a difference is more than that: one model for the race and for
all that the report says.

The value of configuration i with seed j is m_i + r_i a_j + s_i e_ij: seeds are blocks, since trials of the same seed
have the same initialisation and order of images where their networks agree. a_j is what all trials of a seed have in
common, e_ij what each has for itself; how large the one is beside the other is not known. In a difference of
configurations with the same seeds a_j cancels, as in a paired test.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

TAUS = 25
"""Sizes of a mean, evenly spaced in their logarithm, that are tried as the one from which on the spread grows."""
PRIORS = np.array([1.0, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64])
"""Degrees of freedom that are tried as those of what configurations share of their variance."""
OF_GROUPS = PRIORS[:7]
"""The same of groups, which are few: intervals are too short where differences between them are not seen."""
EQUAL, EQUAL_GROUPS = 0.5, 0.25
"""Probability, before there is data, that configurations of a group, and that groups, have the same variance."""
EDGES = np.r_[np.linspace(0, 0.9, 19), 0.95, 0.98, 0.99, 0.998, 0.999]
"""Between these lie the shares of the variance that are tried as the one that all trials of a seed have in common."""
ALONE = 0.5
"""Probability, before there is data, that they have nothing in common."""
STEPS = 25
"""Of the iteration for the shared variance, which gains a digit in about four."""
ERROR = 0.05
"""Probability with which what is said of differences may be wrong."""
ROUNDING = 1e-6
"""Share of their size by which values differ without meaning: sums in single precision, taken in another order."""
BLOCK = 256  # configurations compared with all others at a time, so that ten thousand fit in memory
LEADERS = 64  # configurations that all are compared with before the rest
NODES = 100  # degrees of freedom at which a quantile is taken, to be interpolated between for a million pairs


@dataclass(frozen=True)
class Noise:
    """Of each configuration's mean over its seeds: `error` (n,), its standard error, and `freedom` (n,), the degrees of
    freedom behind it. Of it `own` (n,) with `own_freedom` (n,) is the part that each trial has for itself, and `seeds`
    (n, seeds) what each seed contributes that is common to all trials of that seed: error^2 = own^2 + sum of seeds^2.
    NaN and 0 degrees where no configuration has two seeds."""

    error: np.ndarray
    freedom: np.ndarray
    own: np.ndarray
    own_freedom: np.ndarray
    seeds: np.ndarray

    def half(self, tail: float) -> np.ndarray:
        """(n,) distance that the mean is from the truth, to one side, with a probability of `tail`."""
        return special.stdtrit(self.freedom, 1 - tail) * self.error


def of(values: np.ndarray, groups: Sequence[object] | None = None) -> Noise:
    """The noise of the means of `values` (n, seeds) over the seeds that each configuration has: NaN where it has none.

    Two or three seeds say little about their own spread, so that each variance is shrunk towards what others share. It
    has three parts.

    - A size: the same for all, or where that explains the deviations clearly better, c sqrt(tau^2 + mean^2), which is
      constant for means far below tau and proportional to those far above it (the two-component model of Rocke &
      Durbin, J. Comput. Biol. 8 (2001), 557-569). Clearly better means a logarithm of the likelihood greater by more
      than 1, the price that Akaike puts on a parameter.
    - A group's: those of `groups` (n,), labels of configurations that may have a spread of their own, as the methods
      and kernels do, scatter around a common one.
    - A configuration's own, which scatters around its group's.

    Both are moderated variances (`_moderated`), once of the whole deviations and once of what they are without that
    which seeds have in common: an analysis of variance of configurations and seeds, without interaction, in units of
    each configuration's spread (`_blocks`). The rest of the whole is common to a seed. How much that is on average is
    averaged over all shares by their posterior probabilities, for few seeds cannot tell it; with two seeds alone, that
    makes intervals of means cautious. No error is less than rounding.
    """
    values = np.asarray(values, float)
    has = np.isfinite(values)
    counts = has.sum(axis=1)
    n, own = len(values), np.maximum(counts - 1, 0).astype(float)
    means = np.divide(np.where(has, values, 0).sum(axis=1), counts, out=np.full(n, np.nan), where=counts > 0)
    rounding = ROUNDING / 4 * np.abs(means)
    aside = np.where(has, values - means[:, None], 0.0)
    known, unit = own > 0, float(np.abs(aside).max(initial=0.0))
    if not known.any():
        return Noise(np.full(n, np.nan), np.zeros(n), np.full(n, np.nan), np.zeros(n), np.full(values.shape, np.nan))
    if not unit:
        return Noise(rounding, np.full(n, own.sum()), rounding, np.full(n, own.sum()), np.zeros(values.shape))
    aside /= unit
    labels = np.zeros(n) if groups is None else groups
    named = labels if isinstance(labels, np.ndarray) else [str(label) for label in labels]
    _, group = np.unique(named, return_inverse=True)
    sums = (aside**2).sum(axis=1)
    shape = _shape(np.abs(means), sums, own)
    whole, behind = levels(sums / shape, own, group)
    spread = np.sqrt(whole * shape)
    left, unseen, grown = _blocks(aside / spread[:, None], has, own)
    apart, freedom = levels(left * whole, own, group)
    # What a single trial has in all, and for itself; the rest is common to its seed.
    scale = shape / np.maximum(counts, 1)
    alone = np.where(counts > 0, apart * scale, np.nan)
    common = np.maximum(whole * grown * scale - alone, 0)
    alone = np.fmax(alone, (rounding / unit) ** 2)
    seeds = np.sqrt(common)[:, None] * has / np.sqrt(np.maximum(counts, 1))[:, None]
    freedoms = [1 / (1 / degrees + more) for degrees, more in zip((behind, freedom), reversed(unseen), strict=True)]
    error, single = unit * np.sqrt(alone + common), unit * np.sqrt(alone)
    return Noise(error, freedoms[0], single, freedoms[1], unit * seeds)


def _shape(sizes: np.ndarray, sums: np.ndarray, freedom: np.ndarray) -> np.ndarray:
    """(n,) what variances are proportional to: 1, or 1 + (size / tau)^2 where that explains `sums` (n,) of squares
    with `freedom` (n,) degrees clearly better."""
    known, shape = freedom > 0, np.ones(len(sizes))
    squares, degrees, seen, total = sums[known], freedom[known], sizes[known], float(freedom.sum())

    def likelihood(of: np.ndarray) -> float:
        """Its logarithm, up to a constant, where variances are proportional to `of`."""
        return -0.5 * float(degrees @ np.log(float((squares / of).sum()) / total * of))

    most = likelihood(np.ones(len(seen))) + 1
    for tau in np.geomspace(seen[seen > 0].min() / 3, 3 * seen.max(), TAUS) if seen.any() else []:
        if (found := likelihood(1 + (seen / tau) ** 2)) > most:
            most, shape = found, 1 + (np.nan_to_num(sizes) / tau) ** 2
    return shape


def levels(sums: np.ndarray, freedom: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """((n,) variances, (n,) degrees of freedom) of `sums` (n,) of squares with `freedom` (n,) degrees: each shrunk
    towards its group's, and these towards the common one."""
    degrees = np.bincount(group, freedom)
    every = np.full(len(degrees), degrees.sum())
    common, behind = _moderated(np.bincount(group, sums), degrees, every, OF_GROUPS, EQUAL_GROUPS)
    common, behind = np.maximum(common, 1e-300)[group], behind[group]
    variance, behind = _moderated(sums / common, freedom, behind, PRIORS, EQUAL)
    return variance * common, behind


def _moderated(
    sums: np.ndarray, freedom: np.ndarray, behind: np.ndarray, priors: np.ndarray, equal: float
) -> tuple[np.ndarray, np.ndarray]:
    """((n,) variances, (n,) degrees of freedom) of `sums` (n,) of squares with `freedom` (n,) degrees of their own; the
    variance that they share has those `behind` (n,) it.

    Smyth's moderated variances (Stat. Appl. Genet. Mol. Biol. 3 (2004), article 3): own variances scatter around the
    shared one as a scaled inverse chi-squared with d0 degrees of freedom, and the posterior mean is
    (d0 shared + d own) / (d0 + d). He takes the d0 that is most likely, which of few variances is often infinite while
    they differ by much, and intervals are too short then. Here variances and degrees of freedom are averaged over d0 by
    its posterior probability: infinite, which is one spread for all, with a probability of `equal` before, and one of
    `priors`. The shared variance is the most likely one for each d0.

    2 / freedom is the variance of an estimate's logarithm: that of own and shared seeds, and that between the d0.
    """
    known, total = freedom > 0, float(freedom.sum())
    squares, degrees = sums[known], freedom[known]
    pooled = float(squares.sum()) / total
    if known.sum() < 2 or not pooled:
        return np.full(len(sums), pooled), behind
    half = degrees / 2
    # Of chi-squared over its degrees, and of F below, without the powers of `squares`, which both have.
    normal = float((half * np.log(half / pooled) - special.gammaln(half)).sum()) - total / 2
    d0, scale = priors[:, None], np.full((len(priors), 1), pooled)
    for _ in range(STEPS):  # the equation that the derivative's zero makes, as a fixed point
        scale = scale * ((degrees + d0) * squares / (d0 * scale + squares)).sum(axis=1, keepdims=True) / total
    gammas = special.gammaln(half + d0 / 2) - special.gammaln(half) - special.gammaln(d0 / 2)
    each = gammas + half * np.log(degrees / (d0 * scale))
    likelihood = (each - (half + d0 / 2) * np.log1p(squares / (d0 * scale))).sum(axis=1)
    logs = np.r_[likelihood + np.log((1 - equal) / len(priors)), normal + np.log(equal)]
    weights = np.exp(logs - logs.max())
    weights = (weights / weights.sum())[:, None]
    variance = np.vstack([(d0 * scale + sums) / (d0 + freedom), np.full((1, len(sums)), pooled)])
    own, shared = 1 / (d0 + freedom), (d0 / (d0 + freedom)) ** 2 / behind
    scatter = np.vstack([own + shared, 1 / behind[None]])
    logarithm = np.log(np.maximum(variance, 1e-300))
    between = (weights * (logarithm - (weights * logarithm).sum(axis=0)) ** 2).sum(axis=0) / 2
    return (weights * variance).sum(axis=0), 1 / ((weights * scatter).sum(axis=0) + between)


def _blocks(aside: np.ndarray, has: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, tuple[float, float], float]:
    """((n,) sums of squares of what trials have for themselves, with the `own` (n,) degrees of freedom; what not
    knowing the common share adds to 1 / freedom of these, and of the whole; by how much the whole variance is likely to
    be larger than the deviations say).

    `aside` (n, seeds) are deviations from a configuration's mean in units of its spread, where it `has` that seed. Of
    their sum of squares, seeds explain one part, whose variance is 1 + k lambda times the other's (k is the number of
    configurations where each has every seed). The likelihood of lambda is that of both sums, without the variance
    (Jeffreys' prior).
    """
    counts = np.maximum(has.sum(axis=1), 1)
    links = np.diag(has.sum(axis=0).astype(float)) - (has / counts[:, None]).T @ has
    inverse = np.linalg.pinv(links, rcond=1e-9, hermitian=True)
    effect = inverse @ aside.sum(axis=0)
    effects = np.where(has, effect - (has @ effect / counts)[:, None], 0.0)
    taken = has @ np.diag(inverse) - ((has @ inverse) * has).sum(axis=1) / counts  # degrees of freedom, by row
    by_seeds, of_seeds = float(effect @ links @ effect), max(float(taken.sum()), 1e-9)
    own_sums = ((aside - effects) ** 2).sum(axis=1)
    total, every = float(own_sums.sum()), float(own.sum())
    shares = np.r_[0, (EDGES[1:] + EDGES[:-1]) / 2]
    common = shares / (1 - shares)
    more = 1 + np.trace(links) / of_seeds * common
    variance = np.maximum(total + by_seeds / more, 1e-300) / every
    prior = np.r_[ALONE, (1 - ALONE) * np.diff(EDGES) / EDGES[-1]]
    logs = np.log(prior) - of_seeds / 2 * np.log(more) - every / 2 * np.log(variance)
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()

    def estimated(variance: np.ndarray) -> tuple[float, float]:
        """(its mean, what not knowing it adds to 1 / freedom), of logarithms."""
        mean = float(weights @ np.log(variance))
        return np.exp(mean), float(weights @ (np.log(variance) - mean) ** 2) / 2

    (apart, unseen), (whole, unseen_whole) = estimated(variance), estimated(variance * (1 + common))
    if total <= (1 - EDGES[-1]) * by_seeds:  # no share that is tried is large enough: seeds are all that is known
        unseen_whole = 1 / of_seeds - 1 / every
    rest = max(0.0, apart * every - total)
    grown = max(1.0, whole * every / (total + by_seeds))
    return own_sums + taken / of_seeds * rest, (unseen, unseen_whole), grown


def critical(noise: Noise, j: np.ndarray | slice, k: np.ndarray | slice, tail: float) -> np.ndarray:
    """(len(j), len(k)) difference of the means of configurations j and k that noise alone exceeds, to one side, with a
    probability of `tail`; NaN where the noise is not known.

    Welch's test: errors add up in squares, with the degrees of freedom of Satterthwaite (Biometrics Bull. 2 (1946),
    110-114). What is common to the seeds that both have cancels, as far as their spreads agree. Variances share what
    they are shrunk towards, so that their degrees are not more than one's own.
    """
    every = np.arange(len(noise.own))
    return _critical(noise, every[j][:, None], every[k][None], tail)


def _critical(noise: Noise, j: np.ndarray, k: np.ndarray, tail: float) -> np.ndarray:
    """The same for each pair of `j` and `k`, integers of shapes that go together."""
    one, two = noise.own[j] ** 2, noise.own[k] ** 2
    aside = sum(((seed[j] - seed[k]) ** 2 for seed in noise.seeds.T), np.zeros(1))
    variance = one + two + aside
    most, least = float(noise.own_freedom.max()), float(noise.freedom.min())
    if most == least:
        return special.stdtrit(most, 1 - tail) * np.sqrt(variance)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        scatter = one**2 / noise.own_freedom[j] + two**2 / noise.own_freedom[k]
        scatter += aside**2 / np.minimum(noise.freedom[j], noise.freedom[k])
        freedom = np.where(variance > 0, variance**2 / scatter, most)
    nodes = np.geomspace(least, most, NODES)
    return np.interp(np.minimum(freedom, most), nodes, special.stdtrit(nodes, 1 - tail)) * np.sqrt(variance)


def beaten(means: np.ndarray, noises: list[Noise], error: float = ERROR, only: np.ndarray | None = None) -> np.ndarray:
    """(n,) booleans: which configurations are behind another one by more than noise; `only` of these indices.

    `means` (n, objectives) are to be minimised, `noises` those of each objective. Another is ahead by more than noise
    when its mean is at least as good in every objective, and in one of them better by more than what noise exceeds with
    a probability of error / ((n - 1) objectives), by `critical`. So one that is in truth as good as all others, or on
    the front, is called beaten with a probability of at most `error`, however many there are: multiple comparisons with
    the best, by Bonferroni's inequality (Hsu, Multiple Comparisons (1996), chapter 4). Those not beaten are, with that
    confidence, a set that holds the best one. Where the noise is not known, nothing is beaten.
    """
    n, objectives = means.shape
    asked = np.arange(n) if only is None else only
    found, tail = np.zeros(len(asked), bool), error / (max(n - 1, 1) * max(objectives, 1))
    # The best first, who beat most of those that are beaten.
    order = np.argsort(np.argsort(means, axis=0), axis=0).sum(axis=1).argsort(kind="stable")
    for others in (order[:LEADERS], order[LEADERS:]):
        for start in range(0, len(asked), BLOCK):
            some = start + np.flatnonzero(~found[start : start + BLOCK])
            found[some] = _behind(means, noises, others, asked[some], tail)
    return found


def _behind(means: np.ndarray, noises: list[Noise], others: np.ndarray, some: np.ndarray, tail: float) -> np.ndarray:
    """(len(some),) booleans: which of `some` one of `others` is ahead of by more than noise."""
    at_least, far = np.ones((len(others), len(some)), bool), np.zeros((len(others), len(some)), bool)
    for of, noise in zip(means.T, noises, strict=True):
        gap = of[some][None] - of[others][:, None]
        at_least &= gap >= 0
        # No pair has a smaller error than that of its own with no other, nor more degrees of freedom.
        far |= gap > special.stdtrit(noise.own_freedom.max(initial=0.0), 1 - tail) * noise.own[some]
    j, k = np.nonzero(at_least & far)
    found = np.zeros(len(some), bool)
    for of, noise in zip(means.T, noises, strict=True):
        apart = of[some[k]] - of[others[j]] > _critical(noise, others[j], some[k], tail)
        found[k[apart]] = True
    return found
