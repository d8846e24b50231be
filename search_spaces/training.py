"""The space of trainings: how should one and the same VAE be optimised?

Everything but the optimisation is the study's, and of that the epochs, the batches and the arithmetic; the posterior is
a VAE's. Conditional: a decay only for adamw, a norm
only where gradients are clipped, a decay of the mean only where there is one. Warm-ups are shares of the training, so
that they mean the same for any number of epochs. The controls are the plain training, and one change to it each.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from evae.lazy import optuna
from evae.optimisation import OPTIMISERS, SCHEDULES, Optimisation
from evae.posteriors.gaussian import Gaussian
from evae.recipe import Recipe
from evae.search.space import Control, Space

PLAIN = {
    "optimiser": "adam",
    "schedule": "constant",
    "warm_up": 0.0,
    "clip": False,
    "average": False,
    "beta_warm_up": 0.0,
}
CHANGES: dict[str, dict[str, Any]] = {
    "Adam, constant rate": {},
    "cosine": {"schedule": "cosine"},
    "cosine after a warm-up": {"schedule": "cosine", "warm_up": 0.1},
    "mean weights": {"average": True, "forgotten": 0.01},
    "clipped": {"clip": True, "clip_norm": 100.0},
    "AdamW": {"optimiser": "adamw", "weight_decay": 0.01},
    "Adamax": {"optimiser": "adamax"},
    "beta warmed up": {"beta_warm_up": 0.3},
}
"""What the controls change of `PLAIN`."""


def suggest(trial: optuna.trial.BaseTrial, base: Recipe) -> Recipe:
    """A VAE with the optimisation that the trial suggests. `forgotten` is 1 - ema: the share of the mean of the weights
    that is renewed in a step."""
    rate, epochs = base.optimisation.learning_rate, base.optimisation.epochs
    given: dict[str, Any] = {
        "optimiser": trial.suggest_categorical("optimiser", list(OPTIMISERS)),
        "learning_rate": trial.suggest_float("learning_rate", min(3e-4, rate), max(1e-2, rate), log=True),
        "schedule": trial.suggest_categorical("schedule", list(SCHEDULES)),
        "warm_up_epochs": epochs * trial.suggest_float("warm_up", 0.0, 0.3),
        "beta_warm_up_epochs": epochs * trial.suggest_float("beta_warm_up", 0.0, 0.5),
    }
    if given["optimiser"] == "adamw":
        given["weight_decay"] = trial.suggest_float("weight_decay", 1e-4, 1e-1, log=True)
    if trial.suggest_categorical("clip", [True, False]):
        given["clip_norm"] = trial.suggest_float("clip_norm", 1e1, 1e4, log=True)
    if trial.suggest_categorical("average", [True, False]):
        given["ema"] = 1 - trial.suggest_float("forgotten", 1e-3, 1e-1, log=True)
    kept = {name: getattr(base.optimisation, name) for name in ("epochs", "batch_size", "precision", "beta1")}
    return replace(base, posterior=Gaussian(), optimisation=Optimisation(**kept, **given))


def space(base: Recipe) -> Space:
    """Around a study's `base`, whose learning rate the controls have."""
    plain = PLAIN | {"learning_rate": base.optimisation.learning_rate}
    return Space(suggest, tuple(Control(label, plain | change) for label, change in CHANGES.items()))
