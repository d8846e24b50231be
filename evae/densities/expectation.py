"""Expectation maximisation of a mixture of Gaussians with full covariances, on the device that its codes are on."""

from __future__ import annotations

import math
import sys
from functools import partial

from evae.densities.components import RIDGE, Components
from evae.errors import NotFitted
from evae.lazy import TYPE_CHECKING, F, torch
from evae.recording.functions import replayed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float, Int
    from torch import Tensor

    from evae.shapes import Standardised

ROOM = {"cpu": 1 << 18}
"""So many numbers of whitened codes, of all components together, are held at once: on a CPU 2 MiB, for its caches, and
on any other device `LARGE`, 128 MiB; and their squares."""
LARGE = 1 << 24
LEAST = 256
"""So many codes at once, or more: products of matrices with fewer are slow."""
TOGETHER, REPLAYED = {"cpu": 1}, 8
"""So many iterations are taken before the host looks whether one of them was the last: on a CPU each, and on any other
device several, which are recorded and replayed (`evae.recording`). Those that come after the last go for nothing."""
SMALL = 1 << 23
"""Numbers of whitened codes, of all components together, and of the maps of several iterations, up to which that is
done: 64 MiB, and as much again for squares. With more of them the device is busy for longer than it takes to launch
one. Not measured."""
EMPTY = 10 * sys.float_info.epsilon
"""Added to the number of codes that a component explains, lest it be 0."""


def maximised(
    codes: Standardised, labels: Int[Tensor, " n"], components: int, tolerance: float, iterations: int
) -> tuple[Components, int]:
    """A mixture for codes (n, varying) in float64, and the number of iterations. It starts with each code in the
    component of its label, and ends when the codes' mean log likelihood changes by less than `tolerance` (nats).

    Start, end and ridge are those of scikit-learn's `GaussianMixture`. A component is held as the lower triangular map
    ((1, 0), (mean, factor)), which takes (1, whitened code) to (1, code). The inverse of the maps whitens the codes for
    all components in one product. The second moments of whitened codes, weighted by responsibilities, then give the
    next means and covariances: relative to the present ones, so that a narrow component far out loses nothing to
    rounding. Two numbers of each iteration are read back from the device.

    The result is on the CPU. Raises NotFitted where a covariance is not positive definite, and where `iterations` do
    not suffice.
    """
    padded = F.pad(codes, (1, 0), value=1.0).T.contiguous()
    size = max(LEAST, ROOM.get(codes.device.type, LARGE) // (components * len(padded)))
    chunks, starts = padded.split(size, 1), F.one_hot(labels, components).T.to(codes.dtype).split(size, 1)
    moments = sum((chunk * start[:, None]) @ chunk.T for chunk, start in zip(chunks, starts, strict=True))
    maps = torch.eye(len(padded), dtype=codes.dtype, device=codes.device).repeat(components, 1, 1)
    weights, maps = _maximise(maps, moments)
    times, bound = TOGETHER.get(codes.device.type, REPLAYED), -math.inf
    if times > 1 and maps.shape[0] * maps.shape[1] * max(chunks[0].shape[1], times * maps.shape[2]) > SMALL:
        times = 1
    if times > 1:
        iterate = partial(replayed, _iterate, _iterate)
    else:
        iterate = partial(_iterate, held=codes.new_empty(2, *maps.shape[:2], chunks[0].shape[1]))
    for first in range(1, iterations + 1, times):
        told, *states = iterate(padded, weights, maps, size=size, times=times)
        told, (weights, maps) = told.tolist(), states[-1]
        for iteration in range(first, min(first + times, iterations + 1)):
            before, (bound, weight) = bound, told[2 * (iteration - first) :][:2]
            if math.isnan(bound + weight):
                raise NotFitted(
                    "the mixture cannot be fitted, give fewer components: a covariance is not positive definite"
                )
            if abs(bound - before) < tolerance:
                weights, maps = states[iteration - first]
                return Components(
                    *(part.cpu().contiguous() for part in (weights, maps[:, 1:, 0], maps[:, 1:, 1:]))
                ), iteration
    raise NotFitted(
        f"the mixture has not converged after {iterations} iterations: give more iterations, a larger tolerance or "
        "fewer components"
    )


def _iterate(
    padded: Float[Tensor, "rows n"],
    weights: Float[Tensor, " k"],
    maps: Float[Tensor, "k rows rows"],
    *,
    size: int,
    times: int,
    held: Tensor | None = None,
) -> tuple[Tensor | tuple[Tensor, Tensor], ...]:
    """So many iterations on codes in chunks of this size: the codes' mean log likelihood before each of them and the
    first weight after it, in turns (2 * times,), and the weights and maps that each has led to."""
    chunks, told, states = padded.split(size, 1), [], []
    if held is None:
        held = maps.new_empty(2, *maps.shape[:2], chunks[0].shape[1])
    for _ in range(times):
        total, moments = _expect(chunks, weights, maps, held)
        weights, maps = _maximise(maps, moments)
        told += [total / padded.shape[1], weights[0]]
        states.append((weights, maps))
    return torch.stack(told), *states


def _expect(
    chunks: Sequence[Tensor], weights: Float[Tensor, " k"], maps: Float[Tensor, "k rows rows"], held: Tensor
) -> tuple[Float[Tensor, ""], Float[Tensor, "k rows rows"]]:
    """The sum of the codes' log likelihoods, and the weighted second moments of the whitened codes. `held` (2, k, rows,
    codes of a chunk) is memory to work in: it costs more to get than to use."""
    rows = maps.shape[1]
    identity = torch.eye(rows, dtype=maps.dtype, device=maps.device)
    inverses = torch.linalg.solve_triangular(maps, identity.expand_as(maps), upper=False).flatten(0, 1)
    # The squared norm of a whitened code is 1 too large, by the 1 in front.
    constants = weights.log() - maps.diagonal(dim1=1, dim2=2).log().sum(1) - 0.5 * (rows - 1) * math.log(2 * math.pi)
    total, moments = weights.new_zeros(()), torch.zeros_like(maps)
    for chunk in chunks:
        whitened, squares = held[..., : chunk.shape[1]]
        torch.mm(inverses, chunk, out=whitened.flatten(0, 1))
        norms = torch.mul(whitened, whitened, out=squares).sum(1) - 1
        each = constants[:, None] - 0.5 * norms
        likelihoods = each.logsumexp(0)
        total += likelihoods.sum()
        # Of the responsibilities, the root goes to either side of the product.
        whitened *= (0.5 * (each - likelihoods)).exp_()[:, None]
        moments.baddbmm_(whitened, whitened.mT)
    return total, moments


def _maximise(
    maps: Float[Tensor, "k rows rows"], moments: Float[Tensor, "k rows rows"]
) -> tuple[Float[Tensor, " k"], Float[Tensor, "k rows rows"]]:
    """Weights and maps of codes with these second moments where the given maps have whitened them. Weights are NaN
    where a covariance is not positive definite."""
    counts = moments[:, 0, 0] + EMPTY
    mean = moments / counts[:, None, None]
    shift, factors = mean[:, 1:, :1], maps[:, 1:, 1:]
    covariances = factors @ (mean[:, 1:, 1:] - shift @ shift.mT) @ factors.mT
    covariances.diagonal(dim1=1, dim2=2).add_(RIDGE)
    found, failed = torch.linalg.cholesky_ex(covariances)
    means = maps[:, 1:, :1] + factors @ shift
    weights = torch.where(failed.any(), math.nan, counts / counts.sum())
    return weights, torch.cat([maps[:, :1], torch.cat([means, found], 2)], 1)
