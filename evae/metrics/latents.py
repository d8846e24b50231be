"""What the codes of a set of images say: latents in use, and how far the aggregate posterior is from the
prior.
"""

from __future__ import annotations

from evae.lazy import TYPE_CHECKING, torch
from evae.metrics.base import declare

if TYPE_CHECKING:
    from torch import Tensor

BLOCK = 1 << 22
"""Numbers that are sorted at once: some copies of 32 MiB."""

declare("active_units", of="model", direction="max")
declare("aggregate_w1", of="model", direction="min")
declare("kl_units", of="model", direction="max")
declare("lifetime_sparseness", of="model", direction="max")
declare("population_sparseness", of="model", direction="max")
declare("zeros_share", of="model", direction="max")


def active_units(codes: Tensor, threshold: float = 0.01) -> int:
    """The number of latents whose posterior mean varies over images by more than `threshold` (a variance).

    `codes` (n, latent) are posterior means. Burda et al. 2016, section 5.3 (IWAE), whose threshold is 0.01
    for a prior of variance 1; for another prior divide the codes by its standard deviation first.
    """
    return int((codes.double().var(0) > threshold).sum())


def aggregate_w1(samples: Tensor, prior_samples: Tensor, prior_std: float | Tensor) -> float:
    """The distance of the aggregate posterior's marginals from the prior's: mean over latents of the
    1-Wasserstein distance of samples (n, latent) from prior_samples (m, latent), in prior standard
    deviations: one for all latents, or one for each, (latent,).

    Two finite sets of one distribution are about 1.29 sqrt(1/n + 1/m) apart where it is Gaussian: that is its
    floor.
    """
    if isinstance(prior_std, torch.Tensor):
        samples, prior_samples, prior_std = samples / prior_std, prior_samples / prior_std, 1.0
    latents = max(1, BLOCK // (len(samples) + len(prior_samples)))
    blocks = zip(samples.split(latents, 1), prior_samples.split(latents, 1), strict=True)
    return float(torch.cat([_apart(*block) for block in blocks]).mean() / prior_std)


def _apart(samples: Tensor, others: Tensor) -> Tensor:
    """The 1-Wasserstein distance of each column from that of the others, (latent,) float64."""
    x, y = (s.double().T.sort(1).values.contiguous() for s in (samples, others))
    points = torch.cat([x, y], 1).sort(1).values
    gaps = points.diff(dim=1)
    steps = points[:, :-1].contiguous()
    below_x, below_y = (torch.searchsorted(s, steps, right=True) / s.shape[1] for s in (x, y))
    return ((below_x - below_y).abs().double() * gaps).sum(1)


def kl_units(rates: Tensor, threshold: float = 0.01) -> int:
    """The number of latents whose divergence from the prior is above `threshold` nats on average over images.

    `rates` (n, latent) in nats. The Poisson VAE (Vafaii et al., NeurIPS 2024) counts so on MNIST; on other data its
    thresholds were chosen by hand, and its counts are not comparable.
    """
    return int((rates.double().mean(0) > threshold).sum())


def sparseness(codes: Tensor, dim: int) -> float:
    """Sparseness of codes (n, latent) that are never negative: (1 - (mean z)^2 / mean z^2) / (1 - 1/m), from 0 for m
    equal numbers to 1 for all but one of them 0 (Vinje & Gallant 2000); 1 where all are 0.

    Over images (`dim` 0, "lifetime"), averaged over latents, or over latents (1, "population"), averaged over images.
    At least two numbers along the dimension.
    """
    codes = codes.double()
    square = codes.square().mean(dim)
    even = torch.where(square > 0, codes.mean(dim).square() / square.clamp(min=1e-300), 0.0)
    found = (1 - even) / (1 - 1 / codes.shape[dim])
    return float(found.clamp(max=1).mean())
