"""The models among which a two-stage EVAE (ours) has to stand: each trained once, its densities fitted afterwards.

A grid, not a search: every point is a control. What varies beside the posterior is in the evaluation, and costs no
training.
"""

from __future__ import annotations

from collections.abc import Sequence

from evae.errors import unknown
from evae.lazy import optuna
from evae.posteriors.autoencoder import Autoencoder
from evae.posteriors.base import Posterior
from evae.posteriors.evae import Evae
from evae.posteriors.gaussian import Gaussian
from evae.posteriors.kernel import KernelKL
from evae.posteriors.mixture import Mixture
from evae.posteriors.rae import RAE
from evae.recipe import Recipe
from evae.search.space import Control, Space

MODELS: dict[str, Posterior] = {
    "VAE": Gaussian(),
    "beta-VAE 0.1": Gaussian(beta=0.1),
    "autoencoder": Autoencoder(),
    "RAE-L2": RAE(),
    "EVAE B=0.1": Evae(prior_width=0.1),
    "kernel": KernelKL(),
    "mixture": Mixture(),
}


def suggest(trial: optuna.trial.BaseTrial, base: Recipe) -> Recipe:
    """`base` with one of the models."""
    return base.with_posterior(MODELS[trial.suggest_categorical("model", list(MODELS))])


def grid(models: Sequence[str] = tuple(MODELS)) -> Space:
    """Each of these models. Raises UserError for one that is none of MODELS."""
    for name in models:
        if name not in MODELS:
            raise unknown("model", name, MODELS)
    return Space(suggest, tuple(Control(name, {"model": name}, origin="grid") for name in models), is_grid=True)
