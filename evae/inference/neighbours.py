"""The nearest training points of each training point, and how far they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evae.errors import UserError

DENSE = 2000
"""Up to so many points, all are neighbours of each other unless fewer are asked for."""
SPARSE = 256
"""Neighbours of each of more points than these."""
ORDINARY = 12
"""Of which neighbour the distance is the scale of a point's neighbourhood."""


@dataclass(frozen=True)
class Neighbours:
    """Of each of N points, `index` (N, k) are the k nearest, itself included, nearest first, and `squared` (N, k) their
    squared distances, float64."""

    index: np.ndarray
    squared: np.ndarray

    @property
    def radii(self) -> np.ndarray:
        """Each point's distance to its 12th neighbour (N,), or to its farthest where it has fewer."""
        return np.sqrt(self.squared[:, min(ORDINARY, self.squared.shape[1] - 1)])

    @property
    def scale(self) -> float:
        """The median of the `radii` that are not 0. Raises UserError where all points are one."""
        radii = self.radii
        if not (radii > 0).any():
            radii = np.sqrt(self.squared[:, -1])
        if not (radii > 0).any():
            raise UserError(
                "MAPA-inspired inference tells training points apart by their distances, and these are all equal, or "
                "have more copies than neighbours: give points that differ, or take inference amortised"
            )
        return float(np.median(radii[radii > 0]))


def nearest(x: np.ndarray, count: int | None = None) -> Neighbours:
    """The `count` nearest of the points x (N, d), by default all up to `DENSE` points, and `SPARSE` of more.

    Time N^2 d at worst, memory N * count (and N^2 where all are asked for): a tree is searched where there are few
    dimensions, and else distances are taken a block at a time.
    """
    x = np.asarray(x, dtype=np.float64)
    x = x - x.mean(0)  # far from 0, distances that are taken from products lose their digits
    count = min(len(x), count or (len(x) if len(x) <= DENSE else SPARSE))
    if len(x) <= DENSE:
        from scipy.spatial.distance import cdist

        squared = cdist(x, x, "sqeuclidean")
        index = np.argsort(squared, axis=1, kind="stable")[:, :count]
        return Neighbours(index, np.take_along_axis(squared, index, axis=1))
    from sklearn.neighbors import NearestNeighbors

    from evae.hardware import threads_of_torch

    with threads_of_torch():
        distance, index = NearestNeighbors(n_neighbors=count).fit(x).kneighbors(x)
    return Neighbours(index, distance**2)
