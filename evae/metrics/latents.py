"""What the codes of a set of images say: latents in use, and how far the aggregate posterior is from the
prior.
"""

from __future__ import annotations

from evae.lazy import TYPE_CHECKING, torch
from evae.metrics.base import declare

if TYPE_CHECKING:
    from torch import Tensor

declare("active_units", of="model", direction="max")
declare("aggregate_w1", of="model", direction="min")


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
    x, y = (s.double().T.sort(1).values.contiguous() for s in (samples, prior_samples))
    points = torch.cat([x, y], 1).sort(1).values
    gaps = points.diff(dim=1)
    steps = points[:, :-1].contiguous()
    below_x, below_y = (torch.searchsorted(s, steps, right=True) / s.shape[1] for s in (x, y))
    return float(((below_x - below_y).abs().double() * gaps).sum(1).mean() / prior_std)
