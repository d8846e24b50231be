"""Several objectives at once: which points dominate which, and an order from best to worst.

Values are (n, objectives) arrays, all to be minimised (`signed` turns them so). Needs neither torch nor Ray.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evae.search.objectives import counted


def signed(rows: Sequence[Mapping[str, Any]], objectives: Sequence[tuple[str, str]]) -> np.ndarray:
    """The objectives of each row as (n, objectives) floats to be minimised; NaN where a row counts with none."""
    values = np.array([[counted(row, metric) for metric, _ in objectives] for row in rows], dtype=float)
    signs = [1.0 if direction == "min" else -1.0 for _, direction in objectives]
    return values.reshape(len(rows), len(objectives)) * signs


def dominates(values: np.ndarray, others: np.ndarray | None = None) -> np.ndarray:
    """(n, m) booleans: row i of `values` is at least as good as row j of `others`, and better in one objective.

    (n, k) and (m, k); without `others`, `values` against themselves.
    """
    others = values if others is None else others
    at_least = np.ones((len(values), len(others)), bool)
    strictly = np.zeros_like(at_least)
    for one, other in zip(values.T, others.T, strict=True):
        at_least &= one[:, None] <= other[None]
        strictly |= one[:, None] < other[None]
    return at_least & strictly


def nondominated(values: np.ndarray) -> np.ndarray:
    """(n,) booleans: which rows of (n, k) `values` no other dominates. O(n f) time where f are not dominated."""
    left, at = np.arange(len(values)), 0
    while at < len(left):
        one = values[left[at]]
        keep = (values[left] < one).any(axis=1) | (values[left] == one).all(axis=1)
        at = int(keep[:at].sum()) + 1
        left = left[keep]
    return np.isin(np.arange(len(values)), left)


def layers(values: np.ndarray) -> np.ndarray:
    """(n,) non-dominated ranks: 0 for the front, 1 for the front of what is left without it, and so on.

    Deb et al., A fast and elitist multiobjective genetic algorithm: NSGA-II (2002), section III A. Two objectives take
    O(n log n) time: in the order of the first, a point's rank is the number of layers whose least second value so far
    is not above its own (Jensen, IEEE Trans. Evol. Comput. 7 (2003), 503-515).
    """
    rank = np.full(len(values), -1)
    if values.shape[1] == 2:
        least: list[float] = []
        before, layer = None, 0
        for i in np.lexsort(values.T[::-1]):
            one, two = values[i].tolist()
            if (one, two) != before:
                before, layer = (one, two), bisect_right(least, two)
                least[layer : layer + 1] = [two]
            rank[i] = layer
        return rank
    if values.shape[1] == 1:
        return np.unique(values, return_inverse=True)[1].reshape(-1)
    for layer in range(len(values)):
        left = np.flatnonzero(rank < 0)
        if not len(left):
            break
        rank[left[nondominated(values[left])]] = layer
    return rank


def spread(values: np.ndarray, until: int | None = None) -> list[int]:
    """Indices such that every beginning of the list covers the points well: an epsilon-net.

    The best in the first objective comes first, then always the point farthest from those that came before, each
    objective measured in units of its range (Salinas et al., A multi-objective perspective on jointly tuning hardware
    and hyperparameters, arXiv 2106.05680, section 4). O(n^2) time. With `until`, the list ends with that one.
    """
    if not len(values):
        return []
    extent = values.max(axis=0) - values.min(axis=0)
    scaled = values / np.where(extent > 0, extent, 1.0)
    chosen = [int(np.lexsort(values.T[::-1])[0])]
    distance = np.full(len(values), np.inf)
    while len(chosen) < len(values) and chosen[-1] != until:
        distance = np.minimum(distance, np.linalg.norm(scaled - scaled[chosen[-1]], axis=1))
        distance[chosen] = -1.0
        chosen.append(int(distance.argmax()))
    return chosen
