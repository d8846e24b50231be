"""A second VAE, on the codes of the first."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from evae.densities.base import Estimate, density
from evae.densities.learning import LearnedDensity, seeded
from evae.lazy import TYPE_CHECKING, nn, torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    import optuna
    from jaxtyping import Float
    from torch import Tensor

    from evae.shapes import Standardised

START = -2.0
"""Of ln gamma. From gamma = 1, which is the codes' own spread, a short training would not leave the posterior that has
collapsed to its prior, which explains as much."""
DRAWS, CHUNK = 64, 500
"""Of an importance-weighted bound, and how many codes it is taken of at once."""


@density
@dataclass(frozen=True, kw_only=True)
class SecondStage(LearnedDensity):
    """The second stage of the two-stage VAE (Dai & Wipf, arXiv 1903.05789, section 4): a VAE of codes with as many
    latents as these have, a Gaussian posterior, and a Gaussian likelihood whose standard deviation gamma, the same for
    all latents, is learned. Encoder and decoder have two hidden layers of `width`; the paper's have 1,024.

    Samples have the likelihood's noise, as the paper's. The log density is a lower bound: importance-weighted with 64
    draws (Burda et al., arXiv 1509.00519), the same ones each time.
    """

    family: ClassVar[str] = "second_stage"
    density_is: ClassVar = "bound"

    width: int = 256
    steps: int = 1500
    batch_size: int = 128
    learning_rate: float = 3e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("width", 1)

    @classmethod
    def suggest(cls, trial: optuna.trial.BaseTrial) -> SecondStage:
        return cls(width=trial.suggest_int("second_stage_width", 64, 1024, log=True))

    def estimate(self, codes: Standardised, generator: torch.Generator) -> SecondVAE:
        with seeded(generator):
            vae = self._build(codes.shape[1])
        self._learn(vae.parameters, lambda batch: vae.loss(batch, generator), codes.float(), generator)
        return vae

    def restored(self, state: Mapping[str, Tensor]) -> SecondVAE:
        vae = self._build(state["decoder.4.bias"].numel())
        for name in ("encoder", "decoder"):
            given = {key.removeprefix(f"{name}."): value for key, value in state.items() if key.startswith(f"{name}.")}
            getattr(vae, name).requires_grad_(False).load_state_dict(given)
        return SecondVAE(vae.encoder, vae.decoder, state["log_gamma"].reshape(()))

    def _build(self, latents: int) -> SecondVAE:
        encoder, decoder = (self._layers(latents, outputs) for outputs in (2 * latents, latents))
        return SecondVAE(encoder, decoder, torch.tensor(START, requires_grad=True))

    def _layers(self, inputs: int, outputs: int) -> nn.Sequential:
        hidden = nn.Linear(inputs, self.width), nn.ReLU(), nn.Linear(self.width, self.width), nn.ReLU()
        return nn.Sequential(*hidden, nn.Linear(self.width, outputs))


@dataclass(frozen=True)
class SecondVAE(Estimate):
    """`log_gamma` is ln of the likelihood's standard deviation."""

    encoder: nn.Sequential
    decoder: nn.Sequential
    log_gamma: Float[Tensor, ""]

    @property
    def parameters(self) -> list[Tensor]:
        return [*self.encoder.parameters(), *self.decoder.parameters(), self.log_gamma]

    def loss(self, codes: Standardised, generator: torch.Generator) -> Float[Tensor, ""]:
        """Minus the ELBO in nats, the mean over codes."""
        mean, log_variance = self.encoder(codes).chunk(2, 1)
        noise = torch.randn(mean.shape, generator=generator)
        rate = 0.5 * (mean.square() + torch.expm1(log_variance) - log_variance).sum(1)
        return (rate - self._log_likelihood(codes, mean + torch.exp(0.5 * log_variance) * noise)).mean()

    def sample(self, n: int, generator: torch.Generator) -> Standardised:
        latents = self.decoder[-1].out_features
        inner, noise = torch.randn(2, n, latents, generator=generator)
        return (self.decoder(inner) + self.log_gamma.exp() * noise).double()

    def log_density(self, codes: Standardised) -> Float[Tensor, " n"]:
        drawn = torch.Generator().manual_seed(0)
        return torch.cat([self._bound(part, drawn) for part in codes.float().split(CHUNK)]).double()

    def _bound(self, codes: Tensor, generator: torch.Generator) -> Tensor:
        mean, log_variance = self.encoder(codes).chunk(2, 1)
        noise = torch.randn(DRAWS, *mean.shape, generator=generator)
        inner = mean + torch.exp(0.5 * log_variance) * noise
        log_ratio = 0.5 * (noise.square() - inner.square() + log_variance).sum(2)
        return torch.logsumexp(self._log_likelihood(codes, inner) + log_ratio, 0) - math.log(DRAWS)

    def _log_likelihood(self, codes: Tensor, inner: Tensor) -> Tensor:
        away = (codes - self.decoder(inner)) * torch.exp(-self.log_gamma)
        each = -0.5 * away.square() - self.log_gamma - 0.5 * math.log(2 * math.pi)
        return each.sum(-1)

    def state(self) -> dict[str, Tensor]:
        parts = {"encoder": self.encoder, "decoder": self.decoder}
        weights = {f"{name}.{key}": value for name, part in parts.items() for key, value in part.state_dict().items()}
        return weights | {"log_gamma": self.log_gamma.detach()}
