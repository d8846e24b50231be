"""Codes of training points, fixed before any network exists: by their order along a curve, or their place on a surface.

Whatever the order, the codes' distribution is the standard normal prior; a decoder can bend that to any curve.
"""

from __future__ import annotations

import numpy as np

from evae.errors import UserError, unknown
from evae.inference.diffusion import coordinates_of

ASSIGNED = 1000
"""Codes of several dimensions are assigned within groups of at most so many points: time grows with its cube."""
ORDERS = ("first", "first, local widths", "angle", "angle, local widths")
"""By the first diffusion coordinate, or by the angle in the plane of the first two, which closed curves need; of a
kernel with one width for all points, or with a width for each, which outliers at thin ends do not capture."""


def candidates(x: np.ndarray, latent: int, wanted: str) -> dict[str, np.ndarray]:
    """Codes (N, latent) of points x (N, d) by what they are made from: for one latent each of `ORDERS` or, where
    `wanted` is not "best", that one; for several, codes "assigned" to diffusion coordinates, with one width or local
    ones.

    Raises UserError for an order of several latents, and for more latents than points allow.
    """
    if latent + 2 > len(x):
        raise UserError(f"{len(x)} points are too few for {latent} latent(s): give more points")
    if latent > 1:
        if wanted != "best":
            raise UserError(f"codes by the order {wanted!r} are of one latent, and the recipe has {latent}: take best")
        return {
            "assigned": assigned(coordinates_of(x, latent)),
            "assigned, local widths": assigned(coordinates_of(x, latent, local=True)),
        }
    if wanted not in ("best", *ORDERS):
        raise unknown("order of codes", wanted, ("best", *ORDERS))
    made = {}
    for name in ORDERS if wanted == "best" else (wanted,):
        plane = coordinates_of(x, 2, local="local" in name)
        made[name] = by_rank(plane[:, 0] if name.startswith("first") else angles(plane))
    return made


def by_rank(values: np.ndarray) -> np.ndarray:
    """The standard normal quantile of (rank - 1/2) / N of each value (N,): codes (N, 1)."""
    from scipy.special import ndtri

    rank = np.empty(len(values))
    rank[np.argsort(values, kind="stable")] = np.arange(len(values))
    return ndtri((rank + 0.5) / len(values))[:, None]


def angles(plane: np.ndarray) -> np.ndarray:
    """The angle of each point of the plane (N, 2), each axis in units of its root mean square, in radians from the end
    of the widest gap: a closed curve is cut somewhere, and an open one at its ends."""
    plane = plane / np.sqrt(np.square(plane).mean(0)).clip(np.finfo(float).tiny)
    angle = np.arctan2(plane[:, 1], plane[:, 0])
    sorted_angle = np.sort(angle)
    gaps = np.diff(sorted_angle, append=sorted_angle[0] + 2 * np.pi)
    cut = sorted_angle[(gaps.argmax() + 1) % len(angle)]
    return (angle - cut) % (2 * np.pi)


def assigned(coordinates: np.ndarray) -> np.ndarray:
    """As many low-discrepancy points of the standard normal as there are rows of the coordinates (N, q), each given to
    one, so that the sum of squared distances to the whitened coordinates is least: codes (N, q).

    More than `ASSIGNED` points are first halved at the median of one coordinate after the other, codes as well as
    coordinates, and assigned within the parts.
    """
    from scipy.special import ndtri
    from scipy.stats import qmc

    n, q = coordinates.shape
    away = coordinates - coordinates.mean(0)
    left, spread, right = np.linalg.svd(away, full_matrices=False)
    # Whitened without a turn, so that each axis stays the coordinate that it was.
    white = np.sqrt(n) * (left * (spread > spread[0] * 1e-12)) @ right
    # Skipping 0, whose quantile is infinite.
    normal = ndtri(qmc.Halton(q, scramble=False).random(n + 1)[1:])
    codes = np.empty((n, q))
    _assign(white, normal, np.arange(n), np.arange(n), 0, codes)
    return codes


def _assign(white: np.ndarray, normal: np.ndarray, rows: np.ndarray, points: np.ndarray, axis: int, codes: np.ndarray):
    """Give codes[rows] the normal[points]."""
    if len(rows) <= ASSIGNED:
        from scipy.optimize import linear_sum_assignment
        from scipy.spatial.distance import cdist

        taken, given = linear_sum_assignment(cdist(white[rows], normal[points], "sqeuclidean"))
        codes[rows[taken]] = normal[points[given]]
        return
    rows = rows[np.argsort(white[rows, axis], kind="stable")]
    points = points[np.argsort(normal[points, axis], kind="stable")]
    half, following = len(rows) // 2, (axis + 1) % white.shape[1]
    _assign(white, normal, rows[:half], points[:half], following, codes)
    _assign(white, normal, rows[half:], points[half:], following, codes)
