"""Whether the order at a rung predicts the order at the end, by the trials that came to both.

Kendall's tau of early and final values: of all pairs of trials, the share that is in the same order at both, less the
share that is not. A rung sees an objective where both hold.

- The order is no chance: by Kendall's exact test against no association or a reversed one. As trials come in one looks
  again and again, so that a look after n trials may be wrong by itself with a probability of 6 `ERROR` / (pi k)^2 only,
  k = 1 + log2(n / 6): as much for each doubling as would add up to `ERROR` over the looks after 6 trials, 12, 24, ...
  (Lan & DeMets, Discrete sequential boundaries for clinical trials, Biometrika 70 (1983), 659-663). The looks between
  are so much alike that all of them together are wrong with a probability of 0.044 (by 30,000 draws; a test draws it
  again). Each look decides anew.
- It is worth something: tau is `LEAST` at least. An order can differ from chance and still lose the best. For normal
  values, a rung after a third of the epochs at which one in three goes on keeps as many of the best third as the epochs
  that it saves find anew where tau is 0.31.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

FIRST, GROWTH, MOST = 6, 1.1, 1_000_000
"""The first look is after so many trials, each later one after so many times as many, or one more, up to so many."""
ERROR = 0.05
"""Probability with which a rung whose order says nothing of the final one is ever taken to see the objective."""
LEAST = 0.4


@dataclass(frozen=True)
class Foresight:
    """What is known of a rung and an objective: Kendall's `tau` of `trials`, and whether the rung sees it. No trials
    before the first look; NaN of tau where all values are the same."""

    tau: float = float("nan")
    trials: int = 0
    sees: bool = False


def _looks() -> Iterator[int]:
    n = FIRST
    while n <= MOST:
        yield n
        n = max(n + 1, int(GROWTH * n))


LOOKS = frozenset(_looks())
"""Numbers of trials after which one looks."""


def allowed(n: int) -> float:
    """Probability with which a look after n trials may be wrong by itself."""
    return 6 * ERROR / (math.pi * (1 + math.log2(n / FIRST))) ** 2


def look(early: np.ndarray, final: np.ndarray) -> Foresight:
    """What is seen in the values (n,) of n trials, early ones and final ones."""
    from scipy import stats  # slow to import

    found = stats.kendalltau(early, final, alternative="greater")
    by_chance = found.pvalue > allowed(len(early))
    return Foresight(float(found.statistic), len(early), bool(not by_chance and found.statistic >= LEAST))
