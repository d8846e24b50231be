"""What nearest neighbours among feature rows say of samples: how many look real and how much of the real they cover
(precision, recall, density, coverage), and whether they are copies of training images."""

from __future__ import annotations

import math

from evae.lazy import TYPE_CHECKING, torch
from evae.metrics.base import declare

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

declare("precision", of="samples", direction="max")
declare("recall", of="samples", direction="max")
declare("density", of="samples", direction="max")
declare("coverage", of="samples", direction="max")
declare("nearest_image_ratio", of="features")
declare("nearest_code_ratio", of="density")
declare("heldout_nats", of="density")
declare("heldout_loss", of="density")

NEAREST = 5
"""The neighbour whose distance is the radius of an image's ball (Naeem et al. 2020, section 4.1)."""
BLOCK = 1 << 22
"""Distances that are held at once: 32 MiB."""


def radii(rows: Tensor, nearest: int = NEAREST) -> Tensor:
    """(n,) float64: the distance of each of n feature rows (n, dim) to its `nearest`-th neighbour among the others, or
    to the last of them where they are fewer. Two rows or more."""
    nearest = min(nearest, len(rows) - 1)
    # A row is its own neighbour too, at distance 0.
    return torch.cat([block.kthvalue(nearest + 1).values for _, block in _distances(rows, rows)])


def precision_recall_density_coverage(
    real: Tensor, samples: Tensor, real_radii: Tensor | None = None, nearest: int = NEAREST
) -> dict[str, float]:
    """How samples (n, dim) and real images (m, dim) lie among each other, two rows or more of each.

    A set's manifold is the union of balls around its rows that reach to their `nearest`-th neighbour in the set (see
    `radii`). `precision` is the share of samples in the real manifold, `recall` the share of real images in the
    samples' (Kynkäänniemi et al. 2019, eq. 2); `density` the mean number of real balls that a sample lies in, over
    `nearest`, which may exceed 1, and `coverage` the share of real balls with a sample in them (Naeem et al. 2020,
    eq. 5, 6). A ball contains its surface. `real_radii` are those of the real images, where they are known.
    """
    around_real = radii(real, nearest) if real_radii is None else real_radii
    around_samples = radii(samples, nearest)
    inside = torch.zeros(len(samples), dtype=torch.long)
    covered, recalled = (torch.zeros(len(real), dtype=torch.bool) for _ in range(2))
    for rows, block in _distances(samples, real):
        within = block <= around_real
        inside[rows] = within.sum(1)
        covered |= within.any(0)
        recalled |= (block <= around_samples[rows, None]).any(0)
    return {
        "precision": float((inside > 0).double().mean()),
        "recall": float(recalled.double().mean()),
        "density": float(inside.double().mean()) / min(nearest, len(real) - 1),
        "coverage": float(covered.double().mean()),
    }


def near_distance(rows: Tensor, others: Tensor, share: float = 1.0) -> float:
    """How far feature rows or codes (n, dim) are from others (m, dim), usually training images': the median distance to
    the nearest.

    Where the others are a random `share` of all training images, the quantile `share` / 2 takes the place of the
    median: of rows that copy training images, no more than that share is near one of those that are there.
    """
    return float(nearest_distances(rows, others).quantile(share / 2))


def ratio(distance: float, usual: float) -> float:
    """How far samples are from training images as a multiple of how far new images `usual`ly are: well below 1 they are
    copies. Infinite where the new images are themselves copies."""
    return distance / usual if usual else math.inf


def nearest_code_ratio(samples: Tensor, held_out: Tensor, train: Tensor) -> float:
    """How far codes that a density gives are from the nearest code (m, latent) that it was fitted to, over how far the
    codes of held-out images are: 1 for draws of what all codes are drawn from, 0 for copies.

    In units of each latent's standard deviation, in which densities are fitted; constant latents count for nothing.
    """
    std = train.double().std(0, correction=0)
    varying = std > 0
    samples, held_out, train = (codes.double()[:, varying] / std[varying] for codes in (samples, held_out, train))
    return ratio(near_distance(samples, train), near_distance(held_out, train))


def nearest_distances(rows: Tensor, others: Tensor) -> Tensor:
    """(n,) float64: the distance of each row (n, dim) to the nearest of the others (m, dim)."""
    return torch.cat([block.amin(1) for _, block in _distances(rows, others)])


def _distances(rows: Tensor, others: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Euclidean distances (b, m) of rows to all others, a block of rows after the other. In float64, and from a common
    middle: the squares' difference then has no more than rounding errors of the distances themselves."""
    middle = others.double().mean(0)
    x, y = rows.double() - middle, others.double() - middle
    lengths = y.square().sum(1)
    for start in range(0, len(x), size := max(1, BLOCK // len(y))):
        block = x[start : start + size]
        squares = torch.addmm(lengths, block, y.T, alpha=-2).add_(block.square().sum(1, keepdim=True))
        yield slice(start, start + len(block)), squares.clamp_(min=0).sqrt_()
