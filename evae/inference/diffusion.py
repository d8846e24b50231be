"""Diffusion coordinates: where on a curve or surface each training point lies, from distances alone."""

from __future__ import annotations

import numpy as np

from evae.inference.neighbours import DENSE, Neighbours

LOCAL = 32
"""Neighbours of a point in the graph of more points than `DENSE`."""


def diffusion_coordinates(neighbours: Neighbours, count: int, local: bool = False) -> np.ndarray:
    """psi_1, ..., psi_count of each point, (N, count): eigenvectors of A = d^(-1/2) K d^(-1/2) but for the trivial one,
    by falling eigenvalue, over d^(1/2), where K_ni = exp(-|x_n - x_i|^2 / (2 s^2)) and d are its sums.

    s is `Neighbours.scale` for all; where `local`, s^2 is the product of both points' `radii`. The sign of each is that
    which makes its greatest entry positive. Deterministic. Of more points than `DENSE` K has the nearest `LOCAL` alone.
    """
    n, all_of_them = len(neighbours.index), neighbours.is_complete and len(neighbours.index) <= DENSE
    near = neighbours.index.shape[1] if all_of_them else min(LOCAL, neighbours.index.shape[1])
    index, squared = neighbours.index[:, :near], neighbours.squared[:, :near]
    scale = neighbours.scale
    radii = np.where(neighbours.radii > 0, neighbours.radii, scale) if local else np.full(n, scale)
    kernel = np.exp(-0.5 * squared / (radii[:, None] * radii[index]))
    solved = _dense if n <= DENSE else _sparse
    vectors, degree = solved(index, kernel, count + 1)
    coordinates = vectors[:, 1:] / np.sqrt(degree)[:, None]
    greatest = np.take_along_axis(coordinates, np.abs(coordinates).argmax(0)[None], axis=0)
    return coordinates * np.where(greatest < 0, -1.0, 1.0)


def _dense(index: np.ndarray, kernel: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    from scipy.linalg import eigh

    n = len(index)
    matrix = np.zeros((n, n))
    np.put_along_axis(matrix, index, kernel, axis=1)
    matrix = np.maximum(matrix, matrix.T)
    degree = matrix.sum(1)
    matrix /= np.sqrt(np.outer(degree, degree))
    _, vectors = eigh(matrix, subset_by_index=[n - count, n - 1])
    return vectors[:, ::-1], degree


def _sparse(index: np.ndarray, kernel: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    from scipy.sparse import csr_array, diags_array
    from scipy.sparse.linalg import eigsh

    n, near = index.shape
    matrix = csr_array((kernel.ravel(), index.ravel(), np.arange(0, n * near + 1, near)), shape=(n, n))
    matrix = matrix.maximum(matrix.T)
    degree = np.asarray(matrix.sum(1)).ravel()
    root = diags_array(degree**-0.5)
    # A fixed start, so that the same points have the same coordinates; not the trivial vector itself.
    start = np.sqrt(degree) + np.linspace(-1, 1, n)
    values, vectors = eigsh(root @ matrix @ root, k=count, which="LA", v0=start, tol=1e-6)
    return vectors[:, np.argsort(-values)], degree
