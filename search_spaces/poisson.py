"""The space of the Poisson VAE and its rivals: posterior, latent size, beta, and how counts are made differentiable.

Vafaii, Galor & Yates, "Poisson variational autoencoder" (NeurIPS 2024). Likelihood, networks and training are the
study's. Conditional: only counts have an estimator and a temperature.
"""

from __future__ import annotations

from dataclasses import replace

from evae.lazy import optuna
from evae.posteriors.base import Posterior
from evae.posteriors.gaussian import Gaussian
from evae.posteriors.gaussian_relu import GaussianRelu
from evae.posteriors.laplace import Laplace
from evae.posteriors.poisson import ESTIMATORS, EXACT, Poisson
from evae.recipe import Recipe
from evae.search.space import Control, Space

RIVALS: dict[str, type[Posterior]] = {cls.family: cls for cls in (Gaussian, Laplace, GaussianRelu)}
LOG_RATE = {"linear": -4.0}
"""Where the prior's log-rates begin at most, where the decoder is not like most: the paper's."""
FEWEST, MOST = 32, 1024
"""Latents."""


def space(base: Recipe) -> Space:
    """Around a study's `base`, whose latent size its controls have."""
    exact = [EXACT] if base.network.is_linear and base.likelihood.is_squared else []
    estimators = [*ESTIMATORS, *exact]
    fewest, most = min(FEWEST, base.latent), max(MOST, base.latent)

    def suggest(trial: optuna.trial.BaseTrial, base: Recipe) -> Recipe:
        method = trial.suggest_categorical("method", ["poisson", *RIVALS])
        beta = trial.suggest_float("beta", 1e-2, 1e1, log=True)
        base = replace(base, latent=trial.suggest_int("latent", fewest, most, log=True))
        if method in RIVALS:
            return replace(base, posterior=RIVALS[method](beta=beta))
        posterior = Poisson(
            beta=beta,
            estimator=trial.suggest_categorical("estimator", estimators),
            temperature=trial.suggest_float("temperature", 0.02, 1.0, log=True),
            log_rate=LOG_RATE.get(base.network.family, Poisson.log_rate),
        )
        return replace(base, posterior=posterior)

    shared = {"beta": 1.0, "latent": base.latent}
    counts = {"method": "poisson", "temperature": 0.05} | shared
    return Space(
        suggest,
        (
            Control("Poisson, paper (sigmoid)", counts | {"estimator": "sigmoid"}, origin="paper"),
            Control("Poisson, cubic", counts | {"estimator": "cubic"}),
            Control("Poisson, Gumbel-softmax", counts | {"estimator": "gumbel"}),
            *(Control("Poisson, exact", counts | {"estimator": name}, origin="paper") for name in exact),
            Control("Gaussian", {"method": "gaussian"} | shared, origin="paper"),
            Control("Laplace", {"method": "laplace"} | shared, origin="paper"),
            Control("Gaussian, rectified", {"method": "gaussian_relu"} | shared, origin="paper"),
        ),
    )
