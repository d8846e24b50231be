"""The columns of an epoch's row that its steps make."""

from __future__ import annotations

from statistics import fmean
from statistics import mean as exact_mean
from typing import TYPE_CHECKING

import torch

from evae.criteria import criterion
from evae.sizes import sides
from evae.stepping.epoch import Steps

if TYPE_CHECKING:
    from evae.training import Training

JUDGED = ("adversarial", "discriminator", "disc_accuracy")
"""The terms of a discriminator."""


def column(term: str) -> str:
    """A term's name with its unit. Those of a discriminator, squared lengths and criteria are not nats per image."""
    own = term in (*JUDGED, "codes_l2", "decoder_l2") or term in criterion
    return term if own else f"{term}_nats"


def measured(training: Training, steps: Steps) -> dict[str, float]:
    """What an epoch's steps measured, by column (`evae.training.Training.train_epoch`)."""
    optimisation, plan, images = training.recipe.optimisation, steps.plan, len(training.train)
    shared = zip(training.loop.shares, plan.judged, strict=True)
    judged = sum(share.whole for share, is_judged in shared if is_judged)
    counts = dict.fromkeys(JUDGED, judged)
    found = {f"train_{column(name)}": total / counts.get(name, images) for name, total in steps.sums.items()}
    if judged:
        found["train_adversarial_weight"] = exact_mean(steps.beside["adversarial_weight"])
    if optimisation.changes_rate:
        found["train_learning_rate"] = optimisation.learning_rate * fmean(dials.rate for dials in plan.dials)
    if optimisation.half_size_epochs:
        found["train_image_size"] = sides(training.images.image_size)[0] // (1 + plan.halved)
    if optimisation.beta_warm_up_epochs:
        found["train_beta_factor"] = fmean(dials.beta for dials in plan.dials)
    changing = [training.recipe.posterior.scheduled(dials.progress) for dials in plan.dials]
    found |= {f"train_{name}": fmean(each[name] for each in changing) for name in changing[0]}
    if norms := steps.beside.get("gradient_norm"):
        found["train_gradient_norm"] = float(torch.tensor(norms).mean())
    return found
