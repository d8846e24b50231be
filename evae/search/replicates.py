"""Which configurations deserve another replicate: those near the front."""

from collections.abc import Sequence

import numpy as np

from evae.search.noise import beaten, of_means


def near_front(means: np.ndarray, deviations: np.ndarray, counts: Sequence[int]) -> np.ndarray:
    """(n,) booleans: which configurations no other one beats by more than noise, as `noise.beaten` has it.

    `means` and `deviations` (n, objectives) are over `counts` (n,) replicates, means to be minimised; deviations count
    only where there are two replicates or more. Before there are replicates nothing is known of the noise, and all are
    near.

    Why race: of many configurations measured once, those on the front are there partly by luck (the winner's curse),
    and only they matter for the result, so that seeds spent on them correct most. One that belongs on the front in
    truth is given up for another with a probability of at most 5 %, each time that one looks.
    """
    counts = np.asarray(counts, dtype=float)
    return ~beaten(means, [of_means(*pair, counts) for pair in zip(means.T, deviations.T, strict=True)])
