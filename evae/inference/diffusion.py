"""Diffusion coordinates: where on a curve or surface each training point lies, from distances alone."""

from __future__ import annotations

import numpy as np

from evae.inference.neighbours import DENSE, ORDINARY, Neighbours, nearest


def diffusion_coordinates(neighbours: Neighbours, count: int, local: bool = False) -> np.ndarray:
    """psi_1, ..., psi_count of each point, (N, count): eigenvectors of A = d^(-1/2) K d^(-1/2) but for the trivial one,
    by falling eigenvalue, over d^(1/2), where K_ni = exp(-|x_n - x_i|^2 / (2 s^2)) and d are its sums.

    s is `Neighbours.scale` for all; where `local`, s^2 is the product of both points' `radii`. The sign of each is that
    which makes its greatest entry positive. Deterministic. Time grows with N^3.
    """
    from scipy.linalg import eigh

    index, n = neighbours.index, len(neighbours.index)
    radii = _widths(neighbours.radii, neighbours.scale, local)
    kernel = np.zeros((n, n))
    np.put_along_axis(kernel, index, np.exp(-0.5 * neighbours.squared / (radii[:, None] * radii[index])), axis=1)
    kernel = np.maximum(kernel, kernel.T)
    degree = kernel.sum(1)
    _, vectors = eigh(kernel / np.sqrt(np.outer(degree, degree)), subset_by_index=[n - count - 1, n - 2])
    coordinates = vectors[:, ::-1] / np.sqrt(degree)[:, None]
    greatest = np.take_along_axis(coordinates, np.abs(coordinates).argmax(0)[None], axis=0)
    return coordinates * np.where(greatest < 0, -1.0, 1.0)


def coordinates_of(x: np.ndarray, count: int, local: bool = False) -> np.ndarray:
    """The diffusion coordinates of points x (N, d), (N, count).

    Of more than `DENSE` points, those of the first so many; each other has the mean of its nearest among these, counted
    by the kernel (Nystroem's extension but for its factor). On a long curve an eigenvector of a sparse graph of all
    would take hours to converge.
    """
    near = nearest(x[:DENSE])
    found = diffusion_coordinates(near, count, local)
    if len(x) <= DENSE:
        return found
    from sklearn.neighbors import NearestNeighbors

    distance, index = NearestNeighbors(n_neighbors=2 * ORDINARY).fit(x[:DENSE]).kneighbors(x[DENSE:])
    radii = _widths(near.radii, near.scale, local)
    theirs = _widths(distance[:, ORDINARY], near.scale, local)
    # An outlier, far from all, is where its nearest is.
    squared = distance**2 - distance[:, :1] ** 2
    kernel = np.exp(-0.5 * squared / (theirs[:, None] * radii[index]))
    kernel /= kernel.sum(1, keepdims=True)
    return np.concatenate([found, np.einsum("nk,nkc->nc", kernel, found[index])])


def _widths(radii: np.ndarray, scale: float, local: bool) -> np.ndarray:
    return np.where(radii > 0, radii, scale) if local else np.full(len(radii), scale)
