"""What every posterior family offers: sampling, codes, the rate and the prior, as functions of tensors."""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

from evae.errors import UserError
from evae.lazy import TYPE_CHECKING, F, torch
from evae.registry import Registry

if TYPE_CHECKING:
    import optuna
    from jaxtyping import Float
    from torch import Tensor, nn

    from evae.ranks import Share
    from evae.shapes import Codes, Dial, Heads

# The least width of a posterior: 1/r and ln r stay finite, and a wider floor would be noise the model cannot
# remove.
MIN_WIDTH = 1e-4


@dataclass
class Recent:
    """The heads (n, heads * latent) of the last images trained on, oldest first and without gradients: at most
    `capacity` of them. Of several ranks each has those of all."""

    capacity: int
    heads: Heads

    def push(self, heads: Heads) -> None:
        known = torch.cat([self.heads, heads.detach()])
        self.heads = known[max(0, len(known) - self.capacity) :]


@dataclass(frozen=True, kw_only=True)
class Posterior(ABC):
    """A posterior family with its hyperparameters. It holds no state, and no tensors but those of a module that it
    may `build`, which a model trains and keeps.

    `heads` is how many numbers per latent the encoder yields. Below, the argument `heads` is the encoder's
    output, shape (n, heads * latent): all latents of the first number, then all of the second. `beta` weights
    the rate in the loss. `rate_is` says what the rate is: the "exact" KL divergence from the prior, a "bound"
    on it (in the sense its family states), or "none" where a family has no prior to take one from. The codes of a
    `discrete` family are counts or the like: its densities are probabilities. Those of a `nonnegative` one are measured
    for sparseness. Given an image, the latents of an `independent` one are. There must be `fewest` latents or more.
    """

    family: ClassVar[str]
    heads: ClassVar[int]
    rate_is: ClassVar[Literal["exact", "bound", "none"]]
    discrete: ClassVar[bool] = False
    nonnegative: ClassVar[bool] = False
    has_normal_prior: ClassVar[bool] = False
    """Whether its own prior is N(0, 1) for each latent."""
    independent: ClassVar[bool] = True
    fewest: ClassVar[int] = 1

    beta: float = 1.0

    def __post_init__(self) -> None:
        self._require("beta", at_least=0.0)

    def _require(self, name: str, *, above: float = -math.inf, at_least: float = -math.inf) -> None:
        """Raise `UserError` unless the field is finite, more than `above` and no less than `at_least`."""
        value = getattr(self, name)
        if not (math.isfinite(value) and value > above and value >= at_least):
            limit = f"more than {above:g}" if above > -math.inf else f"at least {at_least:g}"
            raise UserError(f"{name} of the {self.family} posterior must be {limit}, not {value!r}.")

    @classmethod
    def suggest(cls, trial: optuna.trial.BaseTrial) -> Posterior:
        """The posterior of this family that an Optuna trial suggests: how a plug-in's is searched beside ours."""
        return cls(beta=trial.suggest_float("beta", 1e-2, 1e1, log=True))

    def build(self, latent: int) -> nn.Module | None:
        """What the family learns beside the encoder, or needs to know of its latents: a module whose parameters are
        trained with the model's and whose buffers are kept with them, or None.
        Its first values may be drawn from torch's global generator."""
        return None

    @property
    def learns_latents(self) -> bool:
        """Whether it `build`s something, which is then for codes of one length."""
        return type(self).build is not Posterior.build

    def with_learned(self, module: nn.Module) -> Posterior:
        """This posterior with what it has built, which its methods find as `learned`."""
        bound = copy.copy(self)
        object.__setattr__(bound, "learned", module)
        return bound

    @property
    @abstractmethod
    def prior_std(self) -> float | Float[Tensor, " latent"]:
        """Standard deviation of the prior: one for all latents, or one for each."""

    @property
    def prior_mean(self) -> float | Float[Tensor, " latent"]:
        """Mean of the prior: one for all latents, or one for each."""
        return 0.0

    @abstractmethod
    def mean(self, heads: Heads) -> Codes:
        """The posterior's mean: the deterministic code of an image."""

    def representation(self, heads: Heads) -> Codes:
        """What of an image's posterior tells its class, (n, latent): by default the mean."""
        return self.mean(heads)

    @abstractmethod
    def std(self, heads: Heads) -> Codes:
        """The posterior's standard deviation."""

    @abstractmethod
    def sample(self, heads: Heads, generator: torch.Generator) -> Codes:
        """One reparameterised draw for every image; gradients reach `heads`."""

    def training_sample(self, heads: Heads, generator: torch.Generator, progress: Dial) -> Codes:
        """The draw that a step of training takes, where `progress`, from 0 to below 1, is the share of the training's
        steps that came before it: a number, or on CUDA a tensor () on the device. Families whose draws have no gradient
        relax them here."""
        return self.sample(heads, generator)

    @property
    def trains_on_expectation(self) -> bool:
        """Whether a step of training takes the expectation of the distortion over the posterior in the place of a draw,
        which is known for a linear decoder and squared errors; latents must be independent."""
        return False

    def scheduled(self, progress: float) -> dict[str, float]:
        """What of the posterior changes in training, by name, at that `progress`: a column `train_<name>` of each
        epoch, the mean over its steps."""
        return {}

    @abstractmethod
    def rate(self, heads: Heads) -> Codes:
        """Nats for each latent and image, not weighted by beta; zeros where there is no rate."""

    def log_density(self, heads: Heads, codes: Codes) -> Codes:
        """ln q(z | x) of each latent, in nats. A family that has it can be trained against any prior, unless it is
        discrete."""
        raise UserError(f"the {self.family} posterior has no density, so that it keeps the prior of its own.")

    def prior_log_density(self, codes: Codes) -> Codes:
        """ln p(z) of each latent under the family's own prior, in nats. With that and `log_density` the log likelihood
        of images can be estimated."""
        raise UserError(f"the density of the {self.family} posterior's own prior is not known.")

    def has_density(self, *, own_prior: bool) -> bool:
        """Whether the family has a `log_density`, and with `own_prior` a `prior_log_density` too. Without, it must be
        a density as other priors have one, of continuous codes."""
        if self.discrete and not own_prior:
            return False
        methods = ["log_density", "prior_log_density"][: 1 + own_prior]
        return all(getattr(type(self), method) is not getattr(Posterior, method) for method in methods)

    @property
    def weights(self) -> dict[str, float]:
        """What each of the `terms` counts for in the loss; those that are missing are only measured."""
        return {} if self.rate_is == "none" else {"rate": self.beta}

    @property
    def memory(self) -> int:
        """How many images the loss of an image depends on at most, if that can be more than its batch; else 0."""
        return 0

    @property
    def decoder_decay(self) -> float:
        """What half the sum of squares of the decoder's parameters counts for in the loss, as the term `decoder_l2`."""
        return 0.0

    def terms(self, heads: Heads, share: Share, recent: Recent | None = None) -> dict[str, Float[Tensor, ""]]:
        """What the codes of these images cost, by name, in nats per image averaged over them.

        The heads are those of a `share` of a batch. Families with a `memory` take from `recent` what they remember,
        and in training, where it is given, add the batch to it.
        """
        return {} if self.rate_is == "none" else {"rate": self.rate(heads).sum() / len(heads)}

    @abstractmethod
    def sample_prior(
        self, n: int, latent: int, generator: torch.Generator, device: torch.device | str = "cpu"
    ) -> Codes:
        """Draws from the prior, to be decoded into new images."""


posterior: Registry[type[Posterior]] = Registry("posterior")
"""The families by name, and the decorator that adds one."""


def positive(raw: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """A width above `MIN_WIDTH` from an unbounded number (softplus)."""
    return F.softplus(raw) + MIN_WIDTH


def normal_like(mu: Codes, generator: torch.Generator) -> Codes:
    """Standard normal draws of mu's shape, device and dtype."""
    return torch.randn(mu.shape, generator=generator, device=mu.device, dtype=mu.dtype)
