"""Whether the order at a rung predicts the order at the end, by the trials that came to both.

Kendall's tau of early and final values: of all pairs of trials, the share that is in the same order at both, less the
share that is not. A rung sees an objective where both hold.

- The order is no chance: by Kendall's exact test against no association or a reversed one. As trials come in one looks
  again and again, so it is done after 6 trials, 9, 13, ... only, and the k-th look may be wrong with a probability of
  6 `ERROR` / (pi k)^2, which add up to `ERROR` over all looks (Lan & DeMets, Discrete sequential boundaries for
  clinical trials, Biometrika 70 (1983), 659-663). Each look decides anew.
- It is worth something: tau is `LEAST` at least. An order can differ from chance and still lose the best. For normal
  values, a rung after a third of the epochs at which one in three goes on keeps as many of the best third as the epochs
  that it saves find anew where tau is 0.31.
"""

import math
from dataclasses import dataclass

import numpy as np

FIRST, GROWTH, MOST = 6, 1.5, 30
"""The first look is after so many trials, each later one after so many times as many, and so many there are."""
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


LOOKS = {int(FIRST * GROWTH**k): k + 1 for k in range(MOST)}
"""Numbers of trials after which one looks, and which look each is."""


def is_look(n: int) -> bool:
    """Whether one looks after so many trials."""
    return n in LOOKS


def look(early: np.ndarray, final: np.ndarray) -> Foresight:
    """What is seen in the values (n,) of n trials, early ones and final ones; there must be a look after n."""
    from scipy import stats  # slow to import

    k, found = LOOKS[len(early)], stats.kendalltau(early, final, alternative="greater")
    by_chance = found.pvalue > 6 * ERROR / (math.pi * k) ** 2
    return Foresight(float(found.statistic), len(early), bool(not by_chance and found.statistic >= LEAST))
