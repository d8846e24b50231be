"""A small generative prior on code maps: what a diffusion model would make of them, with a fixed budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from evae.densities.base import Estimate, Layout, density
from evae.densities.learning import LearnedDensity, seeded
from evae.lazy import TYPE_CHECKING, nn, torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    import optuna
    from jaxtyping import Float
    from torch import Tensor

    from evae.shapes import Standardised

TIMES, CHUNK = 8, 250
"""How many times each held-out code is looked at, and how many codes go through the network at once."""


@density
@dataclass(frozen=True, kw_only=True)
class FlowMatching(LearnedDensity):
    """Flow matching along straight lines from noise to codes (Lipman et al., arXiv 2210.02747, with sigma_min 0; Liu et
    al., arXiv 2209.03003): a U-Net of residual convolutions, `width` channels on the codes' own grid and twice as many
    below, learns the velocity, code - noise, at (1 - t) noise + t code. A vector is a map of one place.

    Samples follow the learned velocity in `solver_steps` midpoint steps. There is no density; held out is the squared
    error of the velocity per number of a code, over all t: pi / 2 for independent Gaussian numbers, which leave nothing
    to be learned, and less the more of a code its other numbers tell. Training is all the budget there is: `steps`
    steps of `batch_size` codes, however large these are.
    """

    family: ClassVar[str] = "flow_matching"
    density_is: ClassVar = "none"

    width: int = 16
    solver_steps: int = 12
    steps: int = 300
    batch_size: int = 48
    learning_rate: float = 3e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("width", "solver_steps"):
            self._require(name, 1)

    @property
    def held_out(self) -> str | None:
        return "heldout_loss"

    @classmethod
    def suggest(cls, trial: optuna.trial.BaseTrial) -> FlowMatching:
        return cls(width=trial.suggest_int("flow_matching_width", 8, 64, log=True))

    def estimate(self, codes: Standardised, generator: torch.Generator) -> Estimate:
        varying = torch.ones(codes.shape[1], dtype=torch.bool)
        return self.estimate_map(codes, generator, Layout((codes.shape[1],), varying))

    def estimate_map(self, codes: Standardised, generator: torch.Generator, layout: Layout) -> Estimate:
        with seeded(generator):
            made = Velocities(self._build(layout.as_map), layout, self.solver_steps)
        self._learn(list(made.network.parameters()), lambda b: made.loss(b, generator), codes.float(), generator)
        return made

    def restored(self, state: Mapping[str, Tensor]) -> Estimate:
        weights = dict(state)
        layout = Layout(tuple(weights.pop("shape").tolist()), weights.pop("varying").bool())
        network = self._build(layout.as_map)
        network.load_state_dict(weights)
        return Velocities(network.requires_grad_(False), layout, self.solver_steps)

    def _build(self, shape: tuple[int, int, int]) -> nn.Module:
        from evae.densities.velocity import Velocity  # imports torch

        return Velocity(shape, self.width)


@dataclass(frozen=True)
class Velocities(Estimate):
    redraws: ClassVar[int] = 0

    network: nn.Module
    layout: Layout
    solver_steps: int

    def loss(self, codes: Standardised, generator: torch.Generator) -> Float[Tensor, ""]:
        """The squared error of the velocity, a mean over codes and their numbers, at times spread evenly over codes."""
        order = torch.randperm(len(codes), generator=generator)
        time = (order + torch.rand(len(codes), generator=generator)) / len(codes)
        noise = torch.randn(codes.shape, generator=generator)
        return (self._velocity(torch.lerp(noise, codes, time[:, None]), time) - (codes - noise)).square().mean()

    def sample(self, n: int, generator: torch.Generator) -> Standardised:
        noise = torch.randn(n, int(self.layout.varying.sum()), generator=generator)
        with torch.no_grad():
            return torch.cat([self._follow(part) for part in noise.split(CHUNK)]).double()

    def held_out(self, codes: Standardised) -> dict[str, float]:
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            losses = [self.loss(codes.float(), generator) for _ in range(TIMES)]
        return {"heldout_loss": float(torch.stack(losses).mean())}

    def state(self) -> dict[str, Tensor]:
        shape = torch.tensor(self.layout.shape)
        return self.network.state_dict() | {"shape": shape, "varying": self.layout.varying}

    def _follow(self, x: Standardised) -> Standardised:
        step = 1 / self.solver_steps
        for k in range(self.solver_steps):
            half = x + 0.5 * step * self._velocity(x, x.new_full((len(x),), k * step))
            x = x + step * self._velocity(half, x.new_full((len(x),), (k + 0.5) * step))
        return x

    def _velocity(self, codes: Standardised, time: Tensor) -> Standardised:
        return self.layout.take(self.network(self.layout.place(codes), time))
