"""Expectation maximisation of a mixture of Gaussians with full covariances."""

from __future__ import annotations

import math

from evae.densities.components import RIDGE, Components
from evae.errors import NotFitted
from evae.lazy import TYPE_CHECKING, torch

if TYPE_CHECKING:
    from torch import Tensor

    from evae.shapes import Standardised

ROWS = 500
"""Codes that are worked on at once: what is computed of them stays in a core's cache."""


def maximised(codes: Standardised, labels: Tensor, components: int, iterations: int, tolerance: float) -> Components:
    """The mixture that expectation maximisation ends at, of codes (n, latent) in float64 that begin in the components
    that `labels` (n,) say, once the mean log likelihood changes by less than `tolerance` (nats) in an iteration.

    The same as scikit-learn's `GaussianMixture`, in two thirds of its time: all components are one product of matrices.
    Raises NotFitted where a covariance has no inverse, and where it has not ended after so many iterations.
    """
    mixture = _maximisation(*_sums(codes, torch.nn.functional.one_hot(labels.long(), components).double()))
    before = -math.inf
    for _ in range(iterations):
        likelihood, sums = _expectation(codes, mixture)
        mixture = _maximisation(*sums)
        if abs(likelihood - before) < tolerance:
            return mixture
        before = likelihood
    raise NotFitted(
        f"the mixture has not converged after {iterations} iterations: give more iterations, a larger tolerance or "
        "fewer components"
    )


def _expectation(codes: Standardised, mixture: Components) -> tuple[float, tuple[Tensor, Tensor, Tensor]]:
    """The mean log likelihood, and the sums over codes that components are estimated from (see `_sums`)."""
    k, d = mixture.means.shape
    inverse = torch.linalg.solve_triangular(mixture.factors, torch.eye(d, dtype=codes.dtype), upper=False)
    whiten = inverse.reshape(k * d, d).T
    offset = -(inverse @ mixture.means[:, :, None]).flatten()
    constant = mixture.weights.log() + inverse.diagonal(dim1=1, dim2=2).log().sum(1) - d / 2 * math.log(2 * math.pi)
    total, sums = 0.0, None
    for rows in codes.split(ROWS):
        away = torch.addmm(offset, rows, whiten).view(-1, k, d)
        each = torch.add(constant, away.square_().sum(2), alpha=-0.5)
        all_of_them = torch.logsumexp(each, 1, keepdim=True)
        total += float(all_of_them.sum())
        found = _sums(rows, each.sub_(all_of_them).exp_())
        sums = found if sums is None else tuple(a.add_(b) for a, b in zip(sums, found, strict=True))
    return total / len(codes), sums


def _sums(codes: Standardised, shares: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What codes count for in each component by their `shares` (n, k): their number (k,), their sum (k, latent) and the
    sum of their outer products (k, latent, latent)."""
    k, d = shares.shape[1], codes.shape[1]
    weighted = (shares[:, :, None] * codes[:, None]).view(-1, k * d)
    return shares.sum(0), shares.T @ codes, (codes.T @ weighted).view(d, k, d).transpose(0, 1)


def _maximisation(counts: Tensor, firsts: Tensor, seconds: Tensor) -> Components:
    counts = counts + 10 * torch.finfo(counts.dtype).eps
    means = firsts / counts[:, None]
    covariances = seconds / counts[:, None, None] - means[:, :, None] * means[:, None]
    covariances.diagonal(dim1=1, dim2=2).add_(RIDGE)
    factors, failed = torch.linalg.cholesky_ex(covariances)
    if failed.any():
        raise NotFitted("a component of the mixture has come down to a point: give fewer components")
    return Components(counts / counts.sum(), means, factors)
