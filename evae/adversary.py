"""The discriminator's side of an adversarial training; the training loop itself is in `evae.training`."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from evae.adversarial import Adversarial
from evae.errors import Diverged
from evae.global_seed import global_seed
from evae.optimisation import Optimisation
from evae.optimiser import optimiser
from evae.ranks import Ranks, Share
from evae.sizes import ImageSize

if TYPE_CHECKING:
    from evae.models import VAE

WON_ACCURACY, WON_LOSS, WON_EPOCHS = 0.99, 10.0, 5
"""A discriminator has won after that many epochs in a row in which it was at least so accurate and the adversarial loss
at least so high: as a logistic loss, odds of e^10 to 1 against the reconstructions."""
BESIDE, LARGEST_RATIO = 1e-4, 1e4
"""Of the adaptive weight, as in VQGAN's official code."""


class DiscriminatorWon(Diverged):
    """The discriminator tells reconstructions from images without fail, and the VAE has stopped learning from it."""

    def __str__(self) -> str:
        return (
            f"the discriminator won: {WON_EPOCHS} epochs in a row with an accuracy of at least {WON_ACCURACY:g}, and "
            f"an adversarial loss of {self.value:.3g} in epoch {self.epoch}; start it later or lower its learning rate"
        )


class Adversary:
    """A discriminator in training. One step: the VAE's forward pass with `judge`, then `terms`, then both backward."""

    def __init__(
        self,
        recipe: Adversarial,
        optimisation: Optimisation,
        image_size: ImageSize,
        channels: int,
        device: torch.device,
        ranks: Ranks,
        *,
        seed: int,
    ) -> None:
        self.recipe, self.ranks = recipe, ranks
        with global_seed(seed):
            module = recipe.discriminator.build(image_size, channels)
        self.module = module.to(device, memory_format=torch.channels_last)
        self.optimiser = optimiser(
            optimisation.optimiser,
            self.module.parameters(),
            recipe.learning_rate,
            recipe.beta1,
            optimisation.weight_decay,
        )
        ranks.synchronise(self.module)
        self.won_epochs = 0
        self.module.train()

    def judge(self, made: Tensor) -> Tensor:
        """The adversarial loss of reconstructions (n, c, h, w), which are kept for `terms`. Gradients reach them, and
        not the discriminator's weights."""
        self.made = made.detach()
        self.module.requires_grad_(False)
        outputs = _outputs(self.module(made))
        self.module.requires_grad_(True)
        if self.recipe.loss == "logistic":
            return _sum(F.softplus(-logits).mean() for logits in outputs)
        return _sum(-logits.mean() for logits in outputs)

    def terms(self, real: Tensor) -> dict[str, Tensor]:
        """`discriminator`, its loss on images and on their reconstructions just judged, and `disc_accuracy`, the share
        of right answers for patches of both."""
        # One forward pass: what normalises by its batch sees both.
        pairs = [logits.chunk(2) for logits in _outputs(self.module(torch.cat([real, self.made])))]
        if self.recipe.loss == "logistic":
            losses = (F.softplus(-real).mean() + F.softplus(made).mean() for real, made in pairs)
        else:
            losses = (F.relu(1 - real).mean() + F.relu(1 + made).mean() for real, made in pairs)
        right = [((real > 0).float().mean() + (made < 0).float().mean()) / 2 for real, made in pairs]
        return {"discriminator": _sum(losses), "disc_accuracy": _sum(right) / len(right)}

    def weight(self, factor: float, terms: Mapping[str, Tensor], share: Share, model: VAE) -> float | Tensor:
        """What the adversarial loss among the terms of a step counts for, `factor` times what its weighting makes of
        1: a number, or where it is adaptive, one on the device, the same on all ranks."""
        if self.recipe.weighting == "adaptive":
            norms = []
            for loss in (model.compared(terms, self.made), terms["adversarial"]):
                (gradient,) = torch.autograd.grad(loss, model.last_weights, retain_graph=True)
                norms.append(self.ranks.sum(share.part(gradient)).norm())
            return factor * (norms[0] / (norms[1] + BESIDE)).clamp(max=LARGEST_RATIO)
        return factor * self.made[0].numel() if self.recipe.weighting == "per_number" else factor

    def end_epoch(self, epoch: int, adversarial: float, accuracy: float) -> None:
        """Take note of an epoch's means. Raises DiscriminatorWon after `WON_EPOCHS` of which it has."""
        self.ranks.unify(self.module)
        self.won_epochs = self.won_epochs + 1 if accuracy >= WON_ACCURACY and adversarial >= WON_LOSS else 0
        if self.won_epochs >= WON_EPOCHS:
            raise DiscriminatorWon(epoch, "adversarial", adversarial)


def _outputs(logits: Tensor | tuple[Tensor, ...]) -> list[Tensor]:
    return [each.float() for each in (logits if isinstance(logits, tuple) else (logits,))]


def _sum(parts: Iterable[Tensor]) -> Tensor:
    return functools.reduce(torch.add, parts)
