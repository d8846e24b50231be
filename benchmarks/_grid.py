"""The space of recorded trials: the kernel space on a grid, small enough that every point of it has been trained.

Without its controls' autoencoder: one of its trials is better than nearly all others in every objective, so that a
search would only have to hit on that.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from math import log

import optuna

from evae import data
from evae.data import tensor
from evae.data.base import DataRecipe
from evae.metrics.sharpness import sharpness
from evae.networks.conv import Conv
from evae.posteriors.evae import Evae
from evae.posteriors.gaussian import Gaussian
from evae.posteriors.kernel import KernelKL
from evae.recipe import Evaluation, Optimisation, Recipe
from evae.search.space import Space

BASE = Recipe(
    data=DataRecipe(source="mnist-5k", train_images=600, validation_images=120, test_images=32),
    network=Conv(width=0.125),
    latent=16,
    optimisation=Optimisation(batch_size=30, epochs=9),
    evaluation=Evaluation(features="efficientnet-lite0-b2"),
)

RATES = (2e-3, 8e-3, 5e-4)
METHODS = {
    "gaussian": {"beta": (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)},
    "kernel": {"kernel": ("epanechnikov", "uniform", "triweight"), "beta": (0.01, 0.1, 0.3, 1.0, 10.0)},
    "evae": {
        "kernel": ("epanechnikov", "uniform"),
        "bandwidth": (0.05, 0.3, 2.0),
        "prior_width": (0.1, 1.0, 10.0),
        "beta": (0.01, 0.3, 10.0),
    },
}
FAMILIES = {"gaussian": Gaussian, "kernel": KernelKL, "evae": Evae}


def real_sharpness() -> float:
    """Mean sharpness of the validation images."""
    return float(sharpness(tensor(data.load(BASE.data).validation).float() / 255).mean())


def recipe(method: str, learning_rate: float, **posterior: float | str) -> Recipe:
    """The recipe of a point of the grid."""
    more = {"sample_size": BASE.optimisation.batch_size} if method == "evae" else {}
    optimisation = replace(BASE.optimisation, learning_rate=learning_rate)
    return replace(BASE, posterior=FAMILIES[method](**posterior, **more), optimisation=optimisation)


def points() -> Iterator[Recipe]:
    """Every point of the grid."""
    for rate, (method, axes) in product(RATES, METHODS.items()):
        for values in product(*axes.values()):
            yield recipe(method, rate, **dict(zip(axes, values, strict=True)))


def suggest(trial: optuna.trial.BaseTrial, base: Recipe) -> Recipe:
    """A point of the grid, suggested as in a continuous space and moved to its nearest neighbour there."""
    method = trial.suggest_categorical("method", list(METHODS))
    rate = _nearest(trial.suggest_float("learning_rate", min(RATES), max(RATES), log=True), RATES)
    chosen: dict[str, float | str] = {}
    for name, values in METHODS[method].items():
        if name == "kernel":
            chosen[name] = trial.suggest_categorical(f"{name}_of_{method}", list(values))
        else:
            drawn = trial.suggest_float(f"{name}_of_{method}", min(values), max(values), log=True)
            chosen[name] = _nearest(drawn, values)
    return recipe(method, rate, **chosen)


def _nearest(value: float, among: Sequence[float]) -> float:
    return min(among, key=lambda candidate: abs(log(candidate / value)))


SPACE = Space(suggest)
