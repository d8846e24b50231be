"""What every ex-post density offers: a fit to codes, samples, a density, and its numbers to be kept."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, ClassVar, Literal

from evae.errors import NotFitted, UserError
from evae.hardware import having_float64
from evae.lazy import TYPE_CHECKING, torch
from evae.registry import LATER, Registry

if TYPE_CHECKING:
    import optuna
    from jaxtyping import Float
    from torch import Tensor

    from evae.shapes import Codes, Maps, Standardised

REDRAWS = 10
"""How often a sample outside the range of the codes is drawn anew before it is clipped."""
CONSTANT = 1e-6
"""A latent whose standard deviation is no more than this share of its largest value is constant but for rounding."""


@dataclass(frozen=True)
class Layout:
    """Where the numbers of standardised codes (n, varying) stand in a code of this `shape`, (channels, height, width),
    or (latent,) of a vector: `varying` (numbers,) of bool says which are there, channel by channel, row by row."""

    shape: tuple[int, ...]
    varying: Tensor

    @property
    def is_map(self) -> bool:
        """Whether a code has more than one place."""
        return math.prod(self.shape[1:]) > 1

    @property
    def as_map(self) -> tuple[int, int, int]:
        """The shape, which of a vector is (latent, 1, 1)."""
        return (*self.shape, 1, 1)[:3]

    def place(self, codes: Standardised) -> Maps:
        """The maps of codes (n, varying), with 0 where nothing varies."""
        maps = codes.new_zeros(len(codes), math.prod(self.shape))
        maps[:, self.varying] = codes
        return maps.view(-1, *self.as_map)

    def take(self, maps: Maps) -> Standardised:
        """The codes of maps."""
        return maps.flatten(1)[:, self.varying]


@dataclass(frozen=True, kw_only=True)
class Density(ABC):
    """A density family with its hyperparameters.

    A family sees standardised codes (n, varying) in float64: each latent with mean 0 and standard deviation 1, those
    that are constant left out. `density_is` says what `log_density` is: "exact", a "bound" from below, or "none".
    """

    family: ClassVar[str]
    density_is: ClassVar[Literal["exact", "bound", "none"]]
    most_of_map: ClassVar[int | None] = None
    """Of how many numbers a code map may be, at most, for this family to be fitted in reasonable time and memory."""
    on_device: ClassVar[bool] = False
    """Whether `estimate` takes codes on any device that has float64, and not on the CPU alone. The generator is the
    CPU's, and so are the estimate's tensors."""

    @property
    def settings(self) -> dict[str, Any]:
        """Family and hyperparameters, for the identity of what is measured on samples; those that came later only where
        they are not at their default."""
        of = {item.name: getattr(self, item.name) for item in fields(self)}
        left = [i.name for i in fields(self) if i.metadata == LATER and i.default is not MISSING]
        known = {i.name: i.default for i in fields(self)}
        return {"family": self.family} | {n: v for n, v in of.items() if n not in left or v != known[n]}

    def check(self, shape: tuple[int, ...]) -> None:
        """Raise UserError where the family cannot be fitted to codes of this shape."""
        numbers = math.prod(shape)
        if len(shape) > 1 and self.most_of_map is not None and numbers > self.most_of_map:
            raise UserError(
                f"the {self.family} density cannot be fitted to code maps of {' x '.join(map(str, shape))} = "
                f"{numbers:,} numbers, only to {self.most_of_map:,} at most: take mixture or flow_matching, fewer "
                "latents or more downsampling."
            )

    @property
    def held_out(self) -> str | None:
        """The metric that says how well it explains codes which it has not seen (`Estimate.held_out`), if one does."""
        return None if self.density_is == "none" else "heldout_nats"

    def said_of(self, shape: tuple[int, ...]) -> str:
        """What is to be known of how codes of this shape are fitted; "" where there is nothing."""
        return ""

    @classmethod
    def suggest(cls, trial: optuna.trial.BaseTrial) -> Density:
        """The density of this family that an Optuna trial suggests; its parameters begin with the family's name."""
        return cls()

    @abstractmethod
    def estimate(self, codes: Standardised, generator: torch.Generator) -> Estimate:
        """Fitted to standardised codes, with the generator's randomness alone. Raises NotFitted with the remedy."""

    def estimate_map(self, codes: Standardised, generator: torch.Generator, layout: Layout) -> Estimate:
        """`estimate` of codes that stand so in a map; by default, that is not looked at."""
        return self.estimate(codes, generator)

    @abstractmethod
    def restored(self, state: Mapping[str, Tensor]) -> Estimate:
        """The estimate with that `state`."""

    def fit(
        self,
        codes: Codes,
        generator: torch.Generator,
        shape: tuple[int, ...] | None = None,
        device: torch.device | str = "cpu",
    ) -> Fitted:
        """Fitted to codes (n, latent) on the CPU: those that the decoder was trained on; of maps with their `shape`,
        (channels, height, width). A family that can be fitted on a device is fitted on this one. Raises NotFitted."""
        if not torch.isfinite(codes).all():
            raise NotFitted("some codes are not finite numbers")
        if len(codes) < 2:
            raise NotFitted(f"a density needs 2 codes or more, and there is {len(codes)}: give more training images")
        scaling = Scaling.of(codes.float())
        if not scaling.varying.any():
            raise NotFitted("all codes are the same: the posterior has collapsed to a point")
        layout = Layout(shape or (codes.shape[1],), scaling.varying)
        where = having_float64(torch.device(device)) if self.on_device else "cpu"
        return Fitted(self, scaling, self.estimate_map(scaling.standardise(codes).to(where), generator, layout))

    def restore(self, state: Mapping[str, Tensor]) -> Fitted:
        """What `Fitted.state` was taken of, by the same family with the same hyperparameters.

        Raises UserError where it is not such a state.
        """
        try:
            own = dict(state)
            fitted = Fitted(self, Scaling(*own.pop("scaling")), self.restored(own))
            if fitted.estimate.sample(1, torch.Generator()).shape != (1, int(fitted.scaling.varying.sum())):
                raise ValueError
        except (KeyError, IndexError, ValueError, TypeError, RuntimeError):
            raise UserError(
                f"the {self.family} density does not fit its family of this version, or the file is damaged"
            ) from None
        return fitted

    def _require(self, name: str, least: float, most: float = math.inf) -> None:
        """Raise `UserError` unless the field is finite, and from `least` to `most`."""
        value = getattr(self, name)
        if not (math.isfinite(value) and least <= value <= most):
            limit = f"at least {least:g}" if most == math.inf else f"from {least:g} to {most:g}"
            raise UserError(f"{name} of the {self.family} density must be {limit}, not {value!r}.")


class Estimate:
    """What a family makes of standardised codes. `redraws` is how often a sample outside their range is drawn anew."""

    redraws: ClassVar[int] = REDRAWS

    def sample(self, n: int, generator: torch.Generator) -> Standardised:
        """n draws (n, varying), with the generator's randomness alone."""
        raise NotImplementedError

    def log_density(self, codes: Standardised) -> Float[Tensor, " n"]:
        """ln p of each code (n, varying), in nats; NaN where the family has none."""
        return torch.full((len(codes),), math.nan, dtype=torch.float64)

    def held_out(self, codes: Standardised) -> dict[str, float]:
        """How well it explains codes (n, varying) that it has not seen, by the names of metrics of a density."""
        nats = self.log_density(codes).mean()
        return {} if nats.isnan() else {"heldout_nats": -float(nats) / codes.shape[1]}

    def state(self) -> dict[str, Tensor]:
        """All that `Density.restored` needs; the name "scaling" is taken."""
        raise NotImplementedError


@dataclass(frozen=True)
class Scaling:
    """How codes are standardised: each latent's mean and standard deviation (0 where it is constant), and the range of
    its values. All (latent,) in float64."""

    mean: Tensor
    std: Tensor
    low: Tensor
    high: Tensor

    @classmethod
    def of(cls, codes: Codes) -> Scaling:
        codes = codes.double()
        low, high = codes.amin(0), codes.amax(0)
        std = codes.std(0, correction=0)
        std = torch.where(std > CONSTANT * codes.abs().amax(0), std, 0.0)
        return cls(codes.mean(0), std, low, high)

    @property
    def varying(self) -> Tensor:
        """Which latents are not constant, (latent,) of bool."""
        return self.std > 0

    def standardise(self, codes: Codes) -> Standardised:
        which = self.varying
        return (codes.double()[:, which] - self.mean[which]) / self.std[which]

    def back(self, standard: Standardised) -> Codes:
        """The codes of standardised ones; constant latents have their value."""
        codes = self.mean.repeat(len(standard), 1)
        codes[:, self.varying] += standard.double() * self.std[self.varying]
        return codes

    def inside(self, codes: Codes) -> Tensor:
        """Whether all latents of a code are within their range, (n,) of bool."""
        return ((codes >= self.low) & (codes <= self.high)).all(1)


@dataclass(frozen=True)
class Fitted:
    """A density fitted to codes."""

    density: Density
    scaling: Scaling
    estimate: Estimate

    def sample(self, n: int, generator: torch.Generator) -> Float[Tensor, "n latent"]:
        """n codes (n, latent) in float32, drawn with a generator of the CPU.

        Each latent is within the range of the codes fitted to, outside which no decoder was trained: a code that is not
        is drawn anew, ten times at most, and then clipped (of maps of many numbers, nearly all of which leave some
        range by a little, it is clipped at once). Raises NotFitted where a draw is not a number.
        """
        codes = self._drawn(n, generator)
        for _ in range(self.estimate.redraws):
            outside = ~self.scaling.inside(codes)
            if not outside.any():
                break
            codes[outside] = self._drawn(int(outside.sum()), generator)
        return codes.clamp(self.scaling.low, self.scaling.high).float()

    def log_density(self, codes: Codes) -> Float[Tensor, " n"]:
        """ln p of each code (n, latent) in nats, float64: of the density as it was fitted, before anything is drawn
        anew or clipped. Constant latents count for nothing, whatever their value."""
        which = self.scaling.varying
        return self.estimate.log_density(self.scaling.standardise(codes)) - self.scaling.std[which].log().sum()

    def held_out(self, codes: Codes) -> dict[str, float]:
        """How well it explains codes (n, latent) of images that it was not fitted to, by the names of metrics."""
        return self.estimate.held_out(self.scaling.standardise(codes))

    def state(self) -> dict[str, Tensor]:
        """Tensors that `Density.restore` takes."""
        scaling = self.scaling
        return {"scaling": torch.stack([scaling.mean, scaling.std, scaling.low, scaling.high])} | self.estimate.state()

    def _drawn(self, n: int, generator: torch.Generator) -> Tensor:
        codes = self.scaling.back(self.estimate.sample(n, generator))
        if codes.isnan().any():
            raise NotFitted(f"samples of the {self.density.family} density are not numbers")
        return codes


density: Registry[type[Density]] = Registry("density")
"""The families by name, and the decorator that adds one."""
