"""What of a recipe cannot be captured: what a step does with it depends on more than tensors on the device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch.distributed

from evae.data.stream import Stream
from evae.inference import Course
from evae.recording.program import SWITCH, replayable, switched_off

if TYPE_CHECKING:
    from evae.training import Training


def obstacle(training: Training) -> str | None:
    """Why a training's steps are run as they come on CUDA too; None where they can be captured."""
    if switched_off():
        return f"{SWITCH} is 0"
    if isinstance(training.train, Stream):
        return "images are read from their files"
    if not training.ranks.alone and (backend := torch.distributed.get_backend()) != "nccl":
        return f"several processes train it over {backend}"
    if training.recomputes:
        return "blocks are computed twice"
    if type(training.course).terms is not Course.terms:
        return f"the inference {training.recipe.inference.family} has steps of its own"
    recipe = training.recipe
    parts: list[Any] = [recipe.posterior, recipe.network, recipe.likelihood, recipe.prior, *recipe.criteria]
    parts += [recipe.adversarial.discriminator] if recipe.adversarial else []
    return next((f"{part.family} needs the host" for part in parts if part is not None and not replayable(part)), None)
