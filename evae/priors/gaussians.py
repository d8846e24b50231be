"""The density of a mixture of Gaussians, with parameters to learn."""

import math

import torch
from torch import Tensor, nn

from evae.priors.base import PriorDensity

LEAST = -6.0
"""Of ln sigma: a component cannot shrink to a point."""


class Gaussians(PriorDensity, nn.Module):
    """Components start at draws from N(0, 1), each as wide as that."""

    def __init__(self, components: int, latent: int):
        super().__init__()
        self.means = nn.Parameter(torch.randn(components, latent))
        self.log_widths = nn.Parameter(torch.zeros(components, latent))
        self.logits = nn.Parameter(torch.zeros(components))

    def log_density(self, codes: Tensor) -> Tensor:
        widths = self.log_widths.clamp(min=LEAST)
        away = (codes[:, None] - self.means) * torch.exp(-widths)
        each = -0.5 * away.square() - widths - 0.5 * math.log(2 * math.pi)
        return torch.logsumexp(each.sum(2) + self.logits.log_softmax(0), 1)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        chosen = torch.multinomial(self.logits.softmax(0), n, replacement=True, generator=generator)
        noise = torch.randn(n, self.means.shape[1], generator=generator, device=generator.device)
        return self.means[chosen] + torch.exp(self.log_widths.clamp(min=LEAST))[chosen] * noise
