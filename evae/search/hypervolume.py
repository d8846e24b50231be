"""The volume that a front dominates, and how much of it hangs on one point or on two."""

from collections.abc import Iterator

import numpy as np

from evae.search.pareto import nondominated


def hypervolume(points: np.ndarray, reference: np.ndarray) -> float:
    """The volume that `points` (n, k) dominate below `reference` (k,), all coordinates to be minimised.

    Slices along the last coordinate, each with the volume of one coordinate fewer: While et al., A faster algorithm
    for calculating hypervolume, IEEE Trans. Evol. Comput. 10 (2006). Made for the fronts of a few objectives.
    """
    points = points[(points < reference).all(axis=1)]
    if not len(points):
        return 0.0
    if points.shape[1] == 1:
        return float(reference[0] - points.min())
    points = points[np.argsort(points[:, -1], kind="stable")]
    edges = np.append(points[1:, -1], reference[-1])
    heights = edges - points[:, -1]
    slices = (
        height * hypervolume(points[: i + 1, :-1], reference[:-1]) for i, height in enumerate(heights) if height > 0
    )
    return float(sum(slices))


def alone(points: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """(n,) of the volume that `points` (n, k) dominate the part that each dominates alone: what would be lost without
    it."""
    lonely = np.zeros(len(points))
    for i in np.flatnonzero(nondominated(points)):
        lonely[i] = _above(points[i], np.delete(points, i, axis=0), reference)
    return lonely


def by_pairs(points: np.ndarray, reference: np.ndarray) -> Iterator[tuple[int, int, float]]:
    """(i, j, volume) of every two of `points` (n, k) that dominate some of it together, and no third does."""
    # A point that two others dominate has no part in such a volume.
    able = np.flatnonzero([(points <= point).all(axis=1).sum() <= 2 for point in points])
    for place, i in enumerate(able.tolist()):
        corners = np.maximum(points[i], points[able[place + 1 :]])
        over = (points[:, None] <= corners[None]).all(axis=2).sum(axis=0)
        for j in able[place + 1 :][over == 2].tolist():
            volume = _above(np.maximum(points[i], points[j]), np.delete(points, [i, j], axis=0), reference)
            if volume > 0:
                yield i, j, volume


def _above(corner: np.ndarray, others: np.ndarray, reference: np.ndarray) -> float:
    """The volume between `corner` and `reference` (k,) that none of `others` (n, k) dominates."""
    if not (corner < reference).all() or (others <= corner).all(axis=1).any():
        return 0.0
    inside = np.maximum(others[(others < reference).all(axis=1)], corner)
    inside = inside[nondominated(inside)]
    return float(np.prod(reference - corner)) - hypervolume(inside, reference)
