"""How a model is optimised, as a recipe says it: steps, their size, and the weights that are kept of them."""

import math
from dataclasses import dataclass, field, replace

from evae.errors import UserError, unknown
from evae.registry import LATER
from evae.schedules import cosine, cyclical, linear

PRECISIONS = ("auto", "fp32", "bf16")
OPTIMISERS = ("adam", "adamw", "adamax")
SCHEDULES = ("constant", "cosine")


@dataclass(frozen=True, kw_only=True)
class Optimisation:
    """By default Adam with a constant learning rate (Qin & Huang, arXiv 2405.12783v2, appendix D).

    `precision` is the arithmetic of the networks: "fp32", "bf16" (autocast), or "auto", which takes bf16 where the
    hardware multiplies it natively and that is faster (`evae.hardware.BF16_MACS`).

    `beta1` is the decay of Adam's mean gradient, 0.9 as in the paper's framework; the adversarial trainings of the
    field use 0.5. `weight_decay` draws all weights w towards 0: with "adam" and "adamax" as a term of the loss,
    weight_decay |w|^2 / 2, with "adamw" by a step of its own, learning rate * weight_decay * w (Loshchilov & Hutter,
    arXiv 1711.05101). Gradients whose norm, over all weights, is above `clip_norm` are scaled down to it.

    The learning rate rises in a straight line over the steps of `warm_up_epochs`. Then it is constant, or by the
    schedule "cosine" falls to `cosine_floor` (a share of it) at the end of the last epoch, with `cosine_restarts` on
    the way (`evae.schedules`).

    With `ema` the model that is measured and kept has the mean of the weights after each step, in which a step counts
    `ema` times as much as the next one. Those that training began with have no part in it (as in Adam's moments: Kingma
    & Ba, arXiv 1412.6980, section 3), so that it needs no epochs to forget them.

    In training, all of the posterior's terms count for nothing at first and more with every step, for their full weight
    after `beta_warm_up_epochs`; with `beta_cycles` above 1 anew in each of so many equal parts of the training (Fu et
    al., arXiv 1903.10145). Validation knows full weights only.

    In the first `half_size_epochs` the images of a batch have half their size, each pixel the mean of four. What a step
    costs falls to a quarter, and so does a term that is summed over pixels or code maps; one that is a mean, as a
    discriminator's, does not. Measured is always at full size. LiteVAE (Sadat et al., arXiv 2405.14477, table 5) trains
    100,000 steps at 128 px and 50,000 at 256 px.

    With `compiled` torch compiles encoder and decoder for training (`evae.compiled`), which rounds differently and
    takes half a minute before it saves any.

    Of a discriminator's training, learning rate and beta1 are its own; optimiser, schedule, weight decay and clipping
    (of its own norm) are these. There is no mean of its weights.

    Raises UserError for values outside their range, and for those that have no effect beside the others.
    """

    learning_rate: float = 3e-4
    batch_size: int = 100
    epochs: int = 50
    precision: str = "auto"
    beta1: float = field(default=0.9, metadata=LATER)
    optimiser: str = field(default="adam", metadata=LATER)
    weight_decay: float = field(default=0.0, metadata=LATER)
    clip_norm: float | None = field(default=None, metadata=LATER)
    schedule: str = field(default="constant", metadata=LATER)
    warm_up_epochs: float = field(default=0.0, metadata=LATER)
    cosine_floor: float = field(default=0.0, metadata=LATER)
    cosine_restarts: int = field(default=0, metadata=LATER)
    ema: float | None = field(default=None, metadata=LATER)
    beta_warm_up_epochs: float = field(default=0.0, metadata=LATER)
    beta_cycles: int = field(default=1, metadata=LATER)
    half_size_epochs: int = field(default=0, metadata=LATER)
    compiled: bool = field(default=False, metadata=LATER)

    def __post_init__(self) -> None:
        for kind, known in {"precision": PRECISIONS, "optimiser": OPTIMISERS, "schedule": SCHEDULES}.items():
            if getattr(self, kind) not in known:
                raise unknown(kind, getattr(self, kind), known)
        for name in ("learning_rate", "batch_size", "epochs", "clip_norm"):
            if getattr(self, name) is not None and not 0 < getattr(self, name) < math.inf:
                raise UserError(f"{name} must be above 0, got {getattr(self, name)}")
        for name, least in {"weight_decay": 0, "cosine_restarts": 0, "beta_cycles": 1}.items():
            if not least <= getattr(self, name) < math.inf:
                raise UserError(f"{name} must be at least {least}, got {getattr(self, name)}")
        for name in ("beta1", "cosine_floor"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"{name} must be at least 0 and below 1, got {getattr(self, name)}")
        if self.ema is not None and not 0 < self.ema < 1:
            raise UserError(
                f"ema must be above 0 and below 1, got {self.ema}: 0.999 averages about the last 1,000 steps."
            )
        for name in ("warm_up_epochs", "beta_warm_up_epochs", "half_size_epochs"):
            if not 0 <= getattr(self, name) <= self.epochs:
                raise UserError(
                    f"{name} must be at least 0 and at most the {self.epochs} epochs of the training, "
                    f"got {getattr(self, name)}"
                )
        self._check_effective()

    def _check_effective(self) -> None:
        """Raise UserError for what has no effect, or no room, beside the rest."""
        if self.optimiser == "adamw" and not self.weight_decay:
            raise UserError("adamw without a weight_decay is adam: give one, 0.01 for instance, or take adam.")
        if self.schedule != "cosine" and (self.cosine_floor or self.cosine_restarts):
            raise UserError(
                f"cosine_floor and cosine_restarts are of the schedule cosine, not of {self.schedule}: "
                "leave them out, or take that."
            )
        if self.schedule == "cosine" and self.warm_up_epochs == self.epochs:
            raise UserError("the warm-up leaves the cosine schedule no epoch: shorten it, or train longer.")
        if self.beta_cycles > 1 and not self.beta_warm_up_epochs:
            raise UserError("beta_cycles without beta_warm_up_epochs change nothing: say how long each takes to rise.")
        if self.beta_warm_up_epochs * self.beta_cycles > self.epochs:
            raise UserError(
                f"{self.beta_cycles} cycles with {self.beta_warm_up_epochs:g} epochs of warm-up each are longer than "
                f"the {self.epochs} epochs of the training: give fewer, or shorter ones."
            )

    @property
    def changes_rate(self) -> bool:
        """Whether the learning rate is another in some steps."""
        return (self.schedule, self.warm_up_epochs) != ("constant", 0)

    def learning_rate_factor(self, step: int, steps: int) -> float:
        """What the learning rate is multiplied by in a step, counted from 0, where an epoch has so many `steps`."""
        rise = self.warm_up_epochs * steps
        if self.schedule == "constant" or step < rise:
            return linear(step, rise)
        return cosine(step - rise, self.epochs * steps - rise, self.cosine_restarts, self.cosine_floor)

    def beta_factor(self, step: int, steps: int) -> float:
        """What the weights of the posterior's terms are multiplied by in such a step."""
        return cyclical(step, self.epochs * steps, self.beta_warm_up_epochs * steps, self.beta_cycles)

    def without_beta_warm_up(self) -> "Optimisation":
        """The same for a model that has no rate."""
        return replace(self, beta_warm_up_epochs=0.0, beta_cycles=1)
