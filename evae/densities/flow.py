"""A normalising flow."""

from __future__ import annotations

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


@density
@dataclass(frozen=True, kw_only=True)
class Flow(LearnedDensity):
    """A neural spline flow (Durkan et al., arXiv 1906.04032) of `transforms` pairs of coupling layers with splines of
    `bins` pieces, whose networks have two hidden layers of `width`, fitted by maximum likelihood.
    """

    family: ClassVar[str] = "flow"
    density_is: ClassVar = "exact"
    most_of_map: ClassVar = 256

    transforms: int = 3
    bins: int = 4
    width: int = 64
    steps: int = 400
    batch_size: int = 256
    learning_rate: float = 5e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("transforms", "bins", "width"):
            self._require(name, 1)

    @classmethod
    def suggest(cls, trial: optuna.trial.BaseTrial) -> Flow:
        return cls(transforms=trial.suggest_int("flow_transforms", 1, 6))

    def estimate(self, codes: Standardised, generator: torch.Generator) -> Transformed:
        with seeded(generator):
            flow = self._build(codes.shape[1])
        self._learn(list(flow.parameters()), lambda batch: -flow().log_prob(batch).mean(), codes.float(), generator)
        return Transformed(flow)

    def restored(self, state: Mapping[str, Tensor]) -> Transformed:
        weights = dict(state)
        flow = self._build(int(weights.pop("latents")))
        flow.load_state_dict(weights)
        return Transformed(flow.requires_grad_(False))

    def _build(self, latents: int) -> nn.Module:
        from zuko.flows import NSF

        sizes = {"transforms": self.transforms, "bins": self.bins, "hidden_features": (self.width, self.width)}
        return NSF(latents, passes=2, **sizes)


@dataclass(frozen=True)
class Transformed(Estimate):
    flow: nn.Module

    def sample(self, n: int, generator: torch.Generator) -> Standardised:
        flow = self.flow()
        return flow.transform.inv(torch.randn(n, *flow.event_shape, generator=generator)).double()

    def log_density(self, codes: Standardised) -> Float[Tensor, " n"]:
        return self.flow().log_prob(codes.float()).double()

    def state(self) -> dict[str, Tensor]:
        return {"latents": torch.tensor(*self.flow().event_shape), **self.flow.state_dict()}
