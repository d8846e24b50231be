"""The log likelihood of images, bounded from below by importance sampling."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from evae.models import VAE
from evae.ranks import Ranks, Share
from evae.shapes import Images


@torch.no_grad()
def log_likelihood(
    model: VAE, x: Images, samples: int, generator: torch.Generator, share: Share | None = None
) -> Float[Tensor, " n"]:
    """ln of the mean of p(x | z) p(z) / q(z | x) over so many samples z of q(z | x), in nats, of each of these images,
    which may be a `share` of a batch (Burda et al., arXiv 1509.00519, eq. 8).

    On average a lower bound of ln p(x): the ELBO for one sample, and the tighter the more there are. Its limit is
    ln p(x) where the posterior leaves out no z; of a kernel of compact support it is what the codes within the support
    contribute to ln p(x). Memory does not depend on the number of samples, which are drawn one after the other.
    """
    share = share or Ranks().share(len(x))
    heads = model.encode(x)
    # Not on every device, but in float64: a thousandth sample adds a thousandth of a nat to hundreds.
    total = torch.full((len(x),), -math.inf, dtype=torch.float64)
    for _ in range(samples):
        codes = share.sample(model.posterior.sample, heads, generator)
        weights = -model.likelihood.distortions(model.decoder(codes).float(), x) - model.estimated_rates(heads, codes)
        total = torch.logaddexp(total, weights.cpu().double())
    return (total - math.log(samples)).float().to(x.device)
