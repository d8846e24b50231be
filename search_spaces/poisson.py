"""The space of the Poisson VAE and its rivals: posterior, latent size, beta, and how counts are made differentiable.

Vafaii, Galor & Yates, "Poisson variational autoencoder" (NeurIPS 2024). Likelihood, networks and training are the
study's. Conditional: only counts have an estimator, and only counts and classes a temperature.
"""

from __future__ import annotations

from dataclasses import replace

from evae.lazy import optuna
from evae.networks.base import Network
from evae.posteriors.base import Posterior
from evae.posteriors.categorical import Categorical
from evae.posteriors.gaussian import Gaussian
from evae.posteriors.gaussian_exp import GaussianExp
from evae.posteriors.gaussian_relu import GaussianRelu
from evae.posteriors.laplace import Laplace
from evae.posteriors.poisson import ESTIMATORS, EXACT, Poisson
from evae.posteriors.relaxed import Relaxed
from evae.recipe import Recipe
from evae.search.space import Control, Space

RIVALS: dict[str, type[Posterior]] = {
    cls.family: cls for cls in (Gaussian, Laplace, GaussianRelu, GaussianExp, Categorical)
}
FEWEST, MOST = 32, 1024
"""Latents."""


def first_log_rate(network: Network) -> float:
    """Where the prior's log-rates begin at most, in the paper."""
    return -4.0 if network.is_linear else -2.0


def space(base: Recipe) -> Space:
    """Around a study's `base`, whose latent size its controls have."""
    exact = [EXACT] if base.network.is_linear and base.likelihood.is_squared else []
    estimators = [*ESTIMATORS, *exact]
    fewest, most = min(FEWEST, base.latent), max(MOST, base.latent)

    def suggest(trial: optuna.trial.BaseTrial, base: Recipe) -> Recipe:
        method = trial.suggest_categorical("method", [Poisson.family, *RIVALS])
        beta = trial.suggest_float("beta", 1e-2, 1e1, log=True)
        base = replace(base, latent=trial.suggest_int("latent", fewest, most, log=True))
        given = {"beta": beta}
        if method == Poisson.family:
            given["estimator"] = trial.suggest_categorical("estimator", estimators)
            given["log_rate"] = first_log_rate(base.network)
        family = RIVALS.get(method, Poisson)
        if issubclass(family, Relaxed):
            given["temperature"] = trial.suggest_float("temperature", 0.02, 1.0, log=True)
        return replace(base, posterior=family(**given))

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
            Control("Gaussian, exponential", {"method": "gaussian_exp"} | shared, origin="paper"),
            Control("categorical", {"method": "categorical", "temperature": 0.1} | shared, origin="paper"),
        ),
    )
