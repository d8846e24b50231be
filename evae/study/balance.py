"""What a training is as it begins, for people: how the terms of its loss weigh against each other, and its size."""

import math
from dataclasses import replace

import torch

from evae.data.base import ImageSet
from evae.recipe import Recipe
from evae.training import Training

NUMBERS = 1 << 19
"""About as many pixels and channels are looked at: 64 colour images of 52 px, two of 256 px."""
FEWEST = 2


def state_mb(recipe: Recipe, images: ImageSet) -> float:
    """About how many 10^6 bytes the state of a training has at its end: weights, two moments of each, and a mean."""
    few = replace(images, train=images.train[:FEWEST], validation=images.validation[:1], test=images.test[:1])
    recipe = replace(recipe, optimisation=replace(recipe.optimisation, batch_size=FEWEST))
    with torch.random.fork_rng(devices=[]):
        training = Training(recipe, few)
    learners = [training.trained, *([training.adversary.module] if training.adversary else [])]
    learned = sum(p.nbytes for module in learners for p in module.parameters())
    return (
        learned * 3 + sum(p.nbytes for p in training.trained.parameters()) * (training.model is not training.trained)
    ) / 1e6


def balance(recipe: Recipe, images: ImageSet) -> str:
    """What each term of the loss comes to with its full weight on the first training images, before the first step,
    and its share of their absolute sum: "distortion 544 (99.1 %), rate 1 x 5.07 (0.92 %)"."""
    most = NUMBERS // math.prod(images.train.shape[1:])
    count = max(FEWEST, min(recipe.optimisation.batch_size, most), recipe.posterior.memory)
    few = replace(images, train=images.train[:count], validation=images.validation[:1], test=images.test[:1])
    optimisation = replace(recipe.optimisation, batch_size=count, precision="fp32")
    judged = recipe.adversarial and recipe.adversarial.at_once()
    with torch.random.fork_rng(devices=[]):
        terms = Training(replace(recipe, optimisation=optimisation, adversarial=judged), few).first_terms()
    whole = sum(abs(value * weight) for value, weight in terms.values()) or 1.0
    return ", ".join(
        f"{name.replace('_', ' ')} {'' if weight == 1 else f'{_number(weight)} x '}{_number(value)} "
        f"({_percent(abs(value * weight) / whole)} %)"
        for name, (value, weight) in terms.items()
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if 100 <= abs(value) < 1e7 else f"{value:.3g}"


def _percent(share: float) -> str:
    percent = 100 * share
    return f"{percent:.1f}" if percent >= 1 else f"{percent:.2g}"
