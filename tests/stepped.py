"""Trainings of every kind of step, in small, and all that they are and measure: for tests that run them in two ways."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from tiny import POSTERIORS, Strided, adversarial_recipe, flipping, tiny_images, tiny_recipe

from evae.posteriors.mixture import Mixture
from evae.recipe import Recipe
from evae.training import Training

IMAGES = tiny_images()
RATE = 2**-10
"""A learning rate that float32 has, too: then the numbers on the device are those of the host."""
CLOCKS = ("train_s", "images_per_s")


class Halving(Strided):
    """One that says it can be recorded."""

    replayable = True


def scheduled(recipe: Recipe, **changed: Any) -> Recipe:
    return replace(recipe, optimisation=replace(recipe.optimisation, learning_rate=RATE, **changed))


RECIPES = {posterior.family: scheduled(flipping(tiny_recipe(posterior))) for posterior in POSTERIORS}
RECIPES |= {
    "adversarial": scheduled(adversarial_recipe(start_step=4, weighting="adaptive", learning_rate=RATE), clip_norm=1.0),
    "rising": scheduled(adversarial_recipe(Mixture(mixture_size=14), warm_up_epochs=2, weighting="per_number")),
    "averaged": scheduled(tiny_recipe(optimiser="adamw", weight_decay=0.01), ema=0.5),
    "adamax": scheduled(tiny_recipe(optimiser="adamax"), clip_norm=0.5, ema=0.9),
    "half": scheduled(replace(tiny_recipe(), network=Halving(normalised=True)), half_size_epochs=2, epochs=4),
    "warm": scheduled(tiny_recipe(), warm_up_epochs=1.5, schedule="cosine", beta_warm_up_epochs=2.0),
    "bf16": scheduled(tiny_recipe(precision="bf16")),
}
STILL = [name for name, recipe in RECIPES.items() if name != "poisson"]
"""All that can be recorded."""
ROUNDED = ("rising", "categorical", "poisson", "warm", "averaged", "adamax")
"""Those with numbers that are rounded on the device."""


def epochs(training: Training, after: Callable[[], Any] = lambda: None) -> list[dict[str, Any]]:
    """All epochs' measurements, without clocks; each epoch is followed by this."""
    rows = []
    while not training.finished:
        rows.append({n: v for n, v in (training.train_epoch() | training.validate()).items() if n not in CLOCKS})
        after()
    return rows


def state(training: Training) -> dict[str, torch.Tensor]:
    """All that a training has: weights, means, moments, what is remembered."""
    sides = {"model": (training.model, None), "trained": (training.trained, training.optimiser)}
    if training.adversary:
        sides["critic"] = training.adversary.module, training.adversary.optimiser
    found = {"recent": training.recent.heads}
    for name, (module, optimiser) in sides.items():
        found |= {f"{name}.{key}": value for key, value in module.state_dict().items()}
        kept = optimiser.state_dict()["state"] if optimiser else {}
        found |= {f"{name}.{i}.{key}": value for i, moments in kept.items() for key, value in moments.items()}
    return {name: value.clone() for name, value in found.items()}


def differing(a: Training, b: Training) -> list[str]:
    mine, other = state(a), state(b)
    assert mine.keys() == other.keys()
    return [name for name in mine if not torch.equal(mine[name], other[name])]
