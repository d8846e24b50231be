"""Which configurations deserve another replicate: those near the front."""

from collections.abc import Sequence

import numpy as np

from evae.search.noise import between_seeds

CLEARLY = 2.0
"""A difference of so many standard errors is not taken for noise."""


def near_front(means: np.ndarray, deviations: np.ndarray, counts: Sequence[int]) -> np.ndarray:
    """(n,) booleans: which configurations no other one clearly dominates.

    `means` and `deviations` (n, objectives) are over `counts` (n,) replicates, means to be minimised; deviations count
    only where there are two replicates or more. Another configuration clearly dominates when its mean is at least as
    good in every objective, and in one of them better by more than two standard errors of the difference. The spread
    between seeds is that of the report's intervals (see `noise.between_seeds`). Before there are replicates there is no
    spread, and only the front itself is near.

    Why race: of many configurations measured once, those on the front are there partly by luck (the winner's curse),
    and only they matter for the result, so that seeds spent on them correct most. Of two configurations that are
    equal in truth, each is given up for the other with a probability of 2.3 % for one objective,
    Phi(-2), and 2.2 % for two, 1/4 - (Phi(2) - 1/2)^2, where their noise is independent and normal.
    """
    counts = np.asarray(counts, dtype=float)
    spread = [between_seeds(*pair, counts)[0] for pair in zip(means.T, deviations.T, strict=True)]
    errors = np.nan_to_num(np.stack(spread, axis=1)) / np.sqrt(counts)[:, None]
    apart = CLEARLY * np.sqrt(errors[:, None] ** 2 + errors[None, :] ** 2)
    at_least = (means[:, None] <= means[None, :]).all(axis=-1)
    clearly = (means[:, None] < means[None, :] - apart).any(axis=-1)
    return ~(at_least & clearly).any(axis=0)
