"""Effects that were measured several times, as one with what it varies by: a random-effects meta-analysis.

Functions of arrays.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from evae.search.noise import ERROR

STEPS = 200
"""Most of the iteration for tau^2, which at worst doubles it each time, from far below."""


@dataclass(frozen=True)
class Together:
    """The mean of `n` true effects, with its standard error, and `tau`, their standard deviation."""

    mean: float
    error: float
    tau: float
    n: int

    @property
    def half(self) -> float:
        """Half a 95 % interval of the mean effect."""
        return _quantile(self.n) * self.error

    @property
    def half_of_another(self) -> float:
        """Half an interval that the true effect of another data set is in with 95 %, or NaN with two data sets, which
        say too little of their own spread: IntHout et al., BMJ Open 6 (2016), e010247."""
        return _quantile(self.n) * math.hypot(self.tau, self.error) if self.n > 2 else math.nan

    @property
    def chance(self) -> float:
        """The probability of a mean so far from 0, to either side, were it 0 in truth."""
        return float(2 * special.stdtr(self.n - 1, -abs(self.mean) / self.error))


def _quantile(n: int) -> float:
    return float(special.stdtrit(n - 1, 1 - ERROR / 2))


def together(effects: np.ndarray, errors: np.ndarray) -> Together | None:
    """`effects` (k,) with standard errors (k,), all above 0, combined; None with fewer than two, which say nothing of
    how effects differ.

    The true effects are supposed to be normal around their mean. The error is that of Hartung & Knapp (Stat. Med. 20
    (2001), 3875-3889) and of Sidik & Jonkman, never less than without their factor (Röver, Knapp & Friede, BMC Med.
    Res. Methodol. 15 (2015), 99). With the tau^2 of `between` the factor is 1 wherever tau^2 is above 0, and at most
    1 where it is 0: so it is always 1, and what is left of their method is t with k - 1 degrees of freedom.
    """
    if len(effects) < 2:
        return None
    variance = between(effects, errors)
    weights = 1 / (errors**2 + variance)
    mean = float(weights @ effects / weights.sum())
    return Together(mean, float(weights.sum() ** -0.5), math.sqrt(variance), len(effects))


def between(effects: np.ndarray, errors: np.ndarray) -> float:
    """tau^2, the variance of true effects, of which `effects` (k,) with standard errors (k,) are estimates.

    Paule & Mandel (J. Res. Natl. Bur. Stand. 87 (1982), 377-385): the tau^2 at which the squares of the effects'
    distances to their mean, weighted by 1 / (error^2 + tau^2), sum to their expectation k - 1; 0 where they sum to less
    without it. The sum is convex in tau^2, so that Newton's method comes from below and never goes beyond (DerSimonian
    & Kacker, Contemp. Clin. Trials 28 (2007), 105-114).
    """
    expected, variance = len(effects) - 1, 0.0
    for _ in range(STEPS):
        weights = 1 / (errors**2 + variance)
        squares = (effects - weights @ effects / weights.sum()) ** 2
        beyond = weights @ squares - expected
        if beyond <= 1e-12 * expected:
            break
        variance += float(beyond / (weights**2 @ squares))
    return variance


def holm(chances: np.ndarray) -> np.ndarray:
    """p-values (n,) adjusted so that among all those whose hypothesis holds one is at most `error` with that
    probability, however they hang together (Holm, Scand. J. Statist. 6 (1979), 65-70); NaN takes no part."""
    adjusted = np.full(len(chances), np.nan)
    known = np.flatnonzero(np.isfinite(chances))
    order = known[np.argsort(chances[known], kind="stable")]
    left = len(order) - np.arange(len(order))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(left * chances[order]))
    return adjusted
