"""The models that Qin & Huang (arXiv 2405.12783v2, tables 1-3) compare, and the autoencoder they leave out.

A grid, not a search: every point is a control. `MODELS` are the names in tables of the reproduction. The EVAE has the
paper's M = 100 and b = 100^(-2/9), whatever the study's batches are (see `kernels.PAPER_BANDWIDTH`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from evae.errors import unknown
from evae.lazy import optuna
from evae.posteriors.autoencoder import Autoencoder
from evae.posteriors.base import Posterior
from evae.posteriors.evae import Evae
from evae.posteriors.gaussian import Gaussian
from evae.recipe import Recipe
from evae.search.space import Control, Space

MODELS: dict[str, Posterior] = {
    "VAE": Gaussian(),
    "beta-VAE 0.1": Gaussian(beta=0.1),
    "EVAE B=0.1": Evae(prior_width=0.1),
    "EVAE B=10": Evae(prior_width=10.0),
    "autoencoder": Autoencoder(),
}


def suggest(trial: optuna.trial.BaseTrial, base: Recipe) -> Recipe:
    """`base` with one of the models and a latent size."""
    posterior = MODELS[trial.suggest_categorical("model", list(MODELS))]
    return replace(base.with_posterior(posterior), latent=trial.suggest_int("latent", 1, 4096))


def grid(latents: Sequence[int], models: Sequence[str] = tuple(MODELS)) -> Space:
    """Each of these models at each of these latent sizes. Raises UserError for a model that is none of MODELS."""
    for name in models:
        if name not in MODELS:
            raise unknown("model", name, MODELS)
    return Space(
        suggest,
        tuple(
            Control(f"{name}, {latent} latents", {"model": name, "latent": latent}, origin="paper")
            for latent in latents
            for name in models
        ),
        is_grid=True,
    )
