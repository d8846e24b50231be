"""The categorical posterior: an image is one of K codes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from evae.lazy import TYPE_CHECKING, F, nn, torch
from evae.posteriors.base import posterior
from evae.posteriors.poisson import log_probability, poisson_kl
from evae.posteriors.relaxed import Relaxed

if TYPE_CHECKING:
    import optuna
    from jaxtyping import Float
    from torch import Tensor

    from evae.shapes import Codes, Dial, Heads


@posterior
@dataclass(frozen=True, kw_only=True)
class Categorical(Relaxed):
    """One variable of as many classes as there are latents against equal probabilities, as beside the Poisson VAE
    (Vafaii et al., NeurIPS 2024). The encoder yields logits; a code is 1 in its class and 0 elsewhere.

    Training draws from a Gumbel-softmax (Jang et al., arXiv 1611.01144), down to the paper's temperature 0.1.

    The code is one variable, and only sums over classes are its rate and its densities. Each class has the part of them
    that a Poisson count at its probability would have, so that no part of the rate is below 0.
    """

    family: ClassVar[str] = "categorical"
    heads: ClassVar[int] = 1
    rate_is: ClassVar = "exact"
    independent: ClassVar[bool] = False
    fewest: ClassVar[int] = 2

    temperature: float = 0.1

    @classmethod
    def suggest(cls, trial: optuna.trial.BaseTrial) -> Categorical:
        return cls(
            beta=trial.suggest_float("beta", 1e-2, 1e1, log=True),
            temperature=trial.suggest_float("temperature", 0.02, 1.0, log=True),
        )

    def build(self, latent: int) -> nn.Module:
        equal = nn.Module()
        equal.register_buffer("probabilities", torch.full((latent,), 1 / latent))
        return equal

    @property
    def prior_mean(self) -> Float[Tensor, " latent"]:
        return self.learned.probabilities

    @property
    def prior_std(self) -> Float[Tensor, " latent"]:
        return (self.prior_mean * (1 - self.prior_mean)).sqrt()

    def mean(self, heads: Heads) -> Codes:
        return torch.softmax(heads, -1)

    def representation(self, heads: Heads) -> Codes:
        """The logits, as in the paper."""
        return heads

    def std(self, heads: Heads) -> Codes:
        mean = self.mean(heads)
        return (mean * (1 - mean)).sqrt()

    def sample(self, heads: Heads, generator: torch.Generator) -> Codes:
        """Codes: they have no gradient."""
        return F.one_hot(noisy(heads, generator).argmax(-1), heads.shape[-1]).to(heads.dtype)

    def relaxed(self, heads: Heads, temperature: Dial, generator: torch.Generator) -> Codes:
        return torch.softmax(noisy(heads, generator) / temperature, -1)

    def rate(self, heads: Heads) -> Codes:
        equal = heads.new_full((heads.shape[-1],), -math.log(heads.shape[-1]))
        return poisson_kl(torch.log_softmax(heads, -1), equal)

    def log_density(self, heads: Heads, codes: Codes) -> Codes:
        return log_probability(codes, torch.log_softmax(heads, -1)) + 1 / codes.shape[-1]

    def prior_log_density(self, codes: Codes) -> Codes:
        return -codes * math.log(codes.shape[-1])

    def sample_prior(
        self, n: int, latent: int, generator: torch.Generator, device: torch.device | str = "cpu"
    ) -> Codes:
        return self.sample(torch.zeros(n, latent, device=device), generator)


def noisy(logits: Heads, generator: torch.Generator) -> Codes:
    """The logits with Gumbel noise: the greatest is in a class with the probability that they say."""
    waiting = torch.empty_like(logits).exponential_(generator=generator)
    return logits - torch.log(waiting.clamp(min=torch.finfo(logits.dtype).tiny))
