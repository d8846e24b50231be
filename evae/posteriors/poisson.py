"""The Poisson posterior: codes are counts, of spikes, about rates that the prior has too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from evae.errors import UserError, unknown
from evae.lazy import TYPE_CHECKING, F, nn, torch
from evae.posteriors.arrivals import INDICATORS, counts, gumbel_counts, relaxed_counts
from evae.posteriors.base import posterior
from evae.posteriors.relaxed import Relaxed

if TYPE_CHECKING:
    import optuna
    from jaxtyping import Float
    from torch import Tensor

    from evae.shapes import Codes, Dial, Heads

EXACT = "exact"
ESTIMATORS = (*INDICATORS, "gumbel")
"""Those for any networks, beside the exact one."""
MOST_GAIN, MOST, LEAST = 10.0, 5.3, -16.0
"""Soft limits from above of ln dr and of the logarithms of rates (200 spikes), and a hard one from below, about where
the official code adds a constant."""
FIRST = -6.0


@posterior
@dataclass(frozen=True, kw_only=True)
class Poisson(Relaxed):
    """Poisson(r dr(x)) for each latent against the prior Poisson(r) (Vafaii, Galor & Yates, "Poisson variational
    autoencoder", NeurIPS 2024).

    The encoder yields ln dr; the logarithms of r, one for each latent, are learned with the model, and begin between -6
    and `log_rate` (the paper: -4 with a linear decoder, else -2). The rate is r (1 - dr + dr ln dr), of the rates as
    they are drawn from: the official code limits them once more after that.

    A count has no gradient. Training draws stand-ins for counts, by an `estimator`: arrivals that an indicator counts
    softly ("cubic", "linear", "quintic", "cosine", or the paper's "sigmoid"), or a Gumbel-softmax over counts
    ("gumbel"). Or it takes no draws, but the expectation of the distortion ("exact"): with the networks `linear` and
    the likelihood `sum_of_squares` alone. The temperature falls as `Relaxed` says; the paper's defaults are these.
    """

    family: ClassVar[str] = "poisson"
    heads: ClassVar[int] = 1
    rate_is: ClassVar = "exact"

    estimator: str = "cubic"
    log_rate: float = -2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.estimator not in (*ESTIMATORS, EXACT):
            raise unknown("estimator", self.estimator, (*ESTIMATORS, EXACT))
        if not FIRST < self.log_rate <= MOST - 1:
            raise UserError(
                f"log_rate of the poisson posterior must be above {FIRST:g} and at most {MOST - 1:g}, not "
                f"{self.log_rate!r}: it is the logarithm of a number of spikes, and rates end at exp({MOST:g}) = 200."
            )

    @classmethod
    def suggest(cls, trial: optuna.trial.BaseTrial) -> Poisson:
        return cls(
            beta=trial.suggest_float("beta", 1e-2, 1e1, log=True),
            estimator=trial.suggest_categorical("estimator", list(ESTIMATORS)),
            temperature=trial.suggest_float("temperature", 0.02, 1.0, log=True),
        )

    def build(self, latent: int) -> nn.Module:
        return nn.ParameterDict({"log_rates": nn.Parameter(torch.empty(latent).uniform_(FIRST, self.log_rate))})

    @property
    def _prior_log_rates(self) -> Float[Tensor, " latent"]:
        return limited(self.learned["log_rates"], MOST)

    def _log_rates(self, heads: Heads) -> Codes:
        return limited(self._prior_log_rates.to(heads.dtype) + limited(heads, MOST_GAIN), MOST)

    @property
    def prior_mean(self) -> Float[Tensor, " latent"]:
        return self._prior_log_rates.detach().exp()

    @property
    def prior_std(self) -> Float[Tensor, " latent"]:
        return self.prior_mean.sqrt()

    def mean(self, heads: Heads) -> Codes:
        return self._log_rates(heads).exp()

    def representation(self, heads: Heads) -> Codes:
        """ln dr, as in the paper: rates are dominated by a few latents."""
        return limited(heads, MOST_GAIN)

    def std(self, heads: Heads) -> Codes:
        return torch.exp(self._log_rates(heads) / 2)

    def sample(self, heads: Heads, generator: torch.Generator) -> Codes:
        """Counts: they have no gradient."""
        return counts(self.mean(heads), generator)

    def relaxed(self, heads: Heads, temperature: Dial, generator: torch.Generator) -> Codes:
        if self.estimator == "gumbel":
            return gumbel_counts(self.mean(heads), temperature, generator)
        return relaxed_counts(self.mean(heads), self.estimator, temperature, generator)

    @property
    def trains_on_expectation(self) -> bool:
        return self.estimator == EXACT

    @property
    def replayable(self) -> bool:
        """Whether a step needs nothing of the host: how many arrivals are drawn hangs on the rates."""
        return self.trains_on_expectation

    def rate(self, heads: Heads) -> Codes:
        return poisson_kl(self._log_rates(heads), self._prior_log_rates.to(heads.dtype))

    def log_density(self, heads: Heads, codes: Codes) -> Codes:
        return log_probability(codes, self._log_rates(heads))

    def prior_log_density(self, codes: Codes) -> Codes:
        return log_probability(codes, self._prior_log_rates.to(codes.dtype))

    def sample_prior(
        self, n: int, latent: int, generator: torch.Generator, device: torch.device | str = "cpu"
    ) -> Codes:
        return torch.poisson(self.prior_mean.to(device).expand(n, latent), generator)


def limited(x: Float[Tensor, "*shape"], most: float) -> Float[Tensor, "*shape"]:
    """x, bent smoothly so as to stay below `most`; no less than `LEAST`."""
    return (most - F.softplus(most - x)).clamp(min=LEAST)


def poisson_kl(log_rate: Float[Tensor, "*shape"], log_prior: Float[Tensor, " latent"]) -> Float[Tensor, "*shape"]:
    """KL(Poisson(e^log_rate) || Poisson(e^log_prior)) in nats: r (1 - dr + dr ln dr) with the ratio dr of the rates."""
    u = log_rate - log_prior
    # 1 - e^u + u e^u, of which expm1 keeps the digits near zero.
    return log_prior.exp() * (u * u.exp() - torch.expm1(u))


def log_probability(counts: Codes, log_rate: Float[Tensor, "*shape"]) -> Codes:
    return counts * log_rate - log_rate.exp() - torch.lgamma(counts + 1)
