"""Fréchet and kernel distances between two sets of features."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

from evae.lazy import TYPE_CHECKING, torch
from evae.metrics.base import declare

if TYPE_CHECKING:
    from torch import Tensor

declare("fd", of="features", direction="min")
declare("kd", of="features", direction="min")
declare("fid", of="features")
declare("kid", of="features")

SUBSETS, SUBSET_SIZE = 100, 1000
"""Of a kernel distance, where a set is larger than a subset (Bińkowski et al. 2018)."""
MOST_WHOLE = 4000
"""Rows of a set up to which subsets are parts of one kernel, of 128 MB, instead of having kernels of their own."""


class Moments:
    """Count, sum and sum of outer products of feature rows, in float64 on the CPU.

    Sums are additive, so sets measured in parts (batches, ranks) merge exactly.
    """

    def __init__(self) -> None:
        self.count = 0
        self.sum: Tensor | None = None
        self.outer: Tensor | None = None

    def update(self, features: Tensor) -> None:
        """Add feature rows (n, dim)."""
        rows = features.detach().to("cpu", torch.float64)
        self._add(len(rows), rows.sum(0), rows.T @ rows)

    def merge(self, other: "Moments") -> None:
        """Add everything that `other` has seen."""
        if other.count:
            self._add(other.count, other.sum, other.outer)

    def _add(self, count: int, total: Tensor, outer: Tensor) -> None:
        self.count += count
        self.sum = total if self.sum is None else self.sum + total
        self.outer = outer if self.outer is None else self.outer + outer
        self.__dict__.pop("factor", None)

    @property
    def mean(self) -> Tensor:
        """(dim,)"""
        return self.sum / self.count

    @property
    def covariance(self) -> Tensor:
        """(dim, dim), unbiased: divided by count - 1."""
        return (self.outer - torch.outer(self.mean, self.sum)) / (self.count - 1)

    @cached_property
    def factor(self) -> Tensor:
        """F (dim, rank), F F^T = covariance. Kept, because a study compares every trial with one real set."""
        covariance = self.covariance
        if self.count > len(covariance):
            lower, failed = torch.linalg.cholesky_ex(covariance)
            if not failed:
                return lower
        # Singular: the eigenvectors, ten times as long to find, tell what of it is there.
        values, vectors = torch.linalg.eigh(covariance)
        # Below this, eigenvalues are rounding errors (the rule of numpy.linalg.matrix_rank).
        kept = values > values[-1] * len(values) * torch.finfo(values.dtype).eps
        return vectors[:, kept] * values[kept].sqrt()

    def to_dict(self) -> dict[str, Tensor]:
        return {"count": torch.tensor(self.count), "sum": self.sum, "outer": self.outer}

    @classmethod
    def from_dict(cls, given: dict[str, Tensor]) -> "Moments":
        moments = cls()
        moments._add(int(given["count"]), given["sum"], given["outer"])
        return moments


def frechet_distance(a: Moments, b: Moments) -> float:
    """The squared Fréchet (2-Wasserstein) distance of the Gaussians with these moments, of two rows or more.

    |m_a - m_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2)), the FID formula of Heusel et al. 2017, eq. 6. With
    S_b = F F^T, the product has the eigenvalues of the symmetric F^T S_a F, whose solver is fast, needs no
    complex numbers, and has only rank(S_b) rows: what is singular (fewer images than features) drops out.
    Pass the set that stays the same as `b`.
    """
    covariance = a.covariance
    between = b.factor.T @ covariance @ b.factor
    # n rows have a covariance of rank n - 1: further eigenvalues are rounding, with large roots.
    values = torch.linalg.eigvalsh((between + between.T) / 2)[-(a.count - 1) :].clamp_(min=0)
    difference = a.mean - b.mean
    traces = covariance.trace() + b.covariance.trace()
    return float(difference @ difference + traces - 2 * values.sqrt().sum())


def kernel_distance(
    x: Tensor,
    y: Tensor,
    generator: torch.Generator,
    *,
    paired: bool = False,
    subsets: int = SUBSETS,
    subset_size: int = SUBSET_SIZE,
) -> float:
    """The kernel distance of feature rows x (n, dim) and y (m, dim): squared MMD with the kernel (x.y / dim +
    1)^3.

    Bińkowski et al. 2018 (KID): the unbiased estimate on random subsets of equal size, averaged; it may be
    negative. Where both sets fit into one subset, that subset is all there is to draw and it is taken once.

    `paired` says that row i of y was made from row i of x, as a reconstruction is. The cross term is then taken over
    pairs i != j, as within each set (Gretton et al. 2012, lemma 6): a pair's own kernel value is no draw from two
    independent sets, and with it the estimate is too low. Subsets are of the same rows on both sides.
    """
    if paired and len(x) != len(y):
        raise ValueError(f"{len(x)} rows cannot be paired with {len(y)}")
    size = min(subset_size, len(x), len(y))
    if len(x) == len(y) == size:
        subsets = 1
    x, y = x.double(), y.double()
    drawn = []
    for _ in range(subsets):
        rows = torch.randperm(len(x), generator=generator)[:size]
        drawn.append((rows, rows if paired else torch.randperm(len(y), generator=generator)[:size]))
    if subsets > 1 and max(len(x), len(y)) <= MOST_WHOLE:
        return float(_mmd2_of_parts(x, y, drawn, paired).mean())
    return sum(_mmd2(x[rows], y[columns], paired) for rows, columns in drawn) / subsets


def kernel_distance_sd(x: Tensor, n: int, subsets: int = SUBSETS, subset_size: int = SUBSET_SIZE) -> float:
    """The standard deviation of the kernel distance of two sets of n rows each from what x (m, dim) was drawn from;
    its mean is 0.

    To first order in 1 / n the estimate on all of both sets is a U-statistic of the centred kernel k, whose variance
    is 8 E k^2 / (n (n - 1)) (Gretton et al. 2012, theorem 12 at equal sizes). A mean over random subsets has that
    variance, and in addition what subsets of the same sets differ by, divided by their number. At most as many rows
    of x are looked at as make a subset.
    """
    size = min(subset_size, n)
    kernel = _cubic(x[:subset_size].double(), x[:subset_size].double())
    kernel = kernel - kernel.mean(0) - kernel.mean(1, keepdim=True) + kernel.mean()
    kernel.fill_diagonal_(0)
    square = float(kernel.square().sum()) / (len(kernel) * (len(kernel) - 1))
    whole, part = (8 * square / (count * (count - 1)) for count in (n, size))
    return math.sqrt(whole + (part - whole) / subsets)


def _mmd2(x: Tensor, y: Tensor, paired: bool) -> float:
    """The unbiased squared MMD of two sets of equal size."""
    n = len(x)
    within = sum(_off_diagonal(_cubic(rows, rows)) for rows in (x, y)) / (n * (n - 1))
    across = _cubic(x, y)
    return float(within - 2 * (_off_diagonal(across) / (n * (n - 1)) if paired else across.mean()))


def _mmd2_of_parts(x: Tensor, y: Tensor, parts: Sequence[tuple[Tensor, Tensor]], paired: bool) -> Tensor:
    """`_mmd2` of each of these rows of x and y, (len(parts),), by sums over parts of kernels that are taken once."""
    of_x, of_y = x.new_zeros(len(parts), len(x)), y.new_zeros(len(parts), len(y))
    for part, (rows, columns) in enumerate(parts):
        of_x[part, rows], of_y[part, columns] = 1.0, 1.0
    n = len(parts[0][0])

    def total(left: Tensor, kernel: Tensor, right: Tensor) -> Tensor:
        return (left @ kernel * right).sum(1)

    within = sum(total(of, _cubic(rows, rows).fill_diagonal_(0), of) for rows, of in ((x, of_x), (y, of_y)))
    kernel = _cubic(x, y).fill_diagonal_(0) if paired else _cubic(x, y)
    across = total(of_x, kernel, of_y)
    return within / (n * (n - 1)) - 2 * across / (n * (n - 1) if paired else n * n)


def _off_diagonal(kernel: Tensor) -> Tensor:
    return kernel.sum() - kernel.diagonal().sum()


def _cubic(x: Tensor, y: Tensor) -> Tensor:
    kernel = torch.addmm(torch.ones((), dtype=x.dtype), x, y.T, alpha=1 / x.shape[1])
    return kernel * kernel * kernel
