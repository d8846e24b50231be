"""What changes from one step of an epoch to the next, known before the first of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from evae.optimisation import Optimisation
from evae.recipe import Recipe
from evae.shapes import Dial


@dataclass(frozen=True)
class Dials:
    """The numbers of a step: on the host, or where they move as tensors () on the device, which a captured step reads
    anew each time.

    `rate` is what learning rates are multiplied by, `beta` what the posterior's weights are; `progress` the share of
    the training's steps before this one, `average` that of this step's weights in their mean, and `adversarial` the
    weight of a discriminator's loss.
    """

    rate: Dial
    beta: Dial
    progress: Dial
    average: Dial
    adversarial: Dial


class Plan:
    """An epoch's steps, of which each has so many: `dials[i]` are the numbers of the i-th, and `judged[i]` says whether
    a discriminator takes part in it. Images are `halved` in all of them or in none."""

    def __init__(self, recipe: Recipe, epoch: int, steps: int):
        optimisation, adversarial = recipe.optimisation, recipe.adversarial
        self.epoch, self.halved = epoch, epoch <= optimisation.half_size_epochs
        self.weight = adversarial.weight_in(epoch) if adversarial else 0.0
        every = range((epoch - 1) * steps, epoch * steps)
        self.judged = [bool(self.weight) and step >= adversarial.start_step for step in every]
        ema, whole = optimisation.ema or 0.0, optimisation.epochs * steps
        self.dials = [
            Dials(
                rate=optimisation.learning_rate_factor(step, steps),
                beta=optimisation.beta_factor(step, steps),
                progress=step / whole,
                # Of the weights 1, ema, ema^2, ... of the last steps, the share of the last one.
                average=(1 - ema) / (1 - ema ** (step + 1)),
                adversarial=self.weight,
            )
            for step in every
        ]


class Desk:
    """The plan of an epoch on the device, where the steps find it by themselves: nothing of it passes through the host
    between two of them, and it stays where it is from epoch to epoch, as a captured step needs it.

    `at` (1,) is the number of the next step in the epoch. Dials that no step of the training moves are numbers.
    """

    def __init__(self, optimisation: Optimisation, steps: int, device: torch.device):
        moves = {"rate": optimisation.changes_rate, "beta": optimisation.beta_warm_up_epochs > 0}
        self.moving = [name for name in Dials.__dataclass_fields__ if moves.get(name, True)]
        self.order = torch.zeros(steps, optimisation.batch_size, dtype=torch.int64, device=device)
        self.table = torch.zeros(len(self.moving), steps, device=device)
        self.at = torch.zeros(1, dtype=torch.int64, device=device)

    def lay(self, plan: Plan, order: Tensor) -> None:
        self.order.view(-1)[: len(order)].copy_(order)
        rows = [[getattr(dials, name) for dials in plan.dials] for name in self.moving]
        self.table.copy_(torch.tensor(rows, dtype=torch.float32))
        self.at.zero_()
        self.first = plan.dials[0]

    def index(self, size: int) -> Tensor:
        """The rows of the training split that the next step takes, (size,)."""
        return self.order.index_select(0, self.at)[0, :size]

    def dials(self) -> Dials:
        found = self.table.index_select(1, self.at)[:, 0].unbind()
        return replace(self.first, **dict(zip(self.moving, found, strict=True)))
