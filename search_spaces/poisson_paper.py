"""The models that Vafaii, Galor & Yates ("Poisson variational autoencoder", NeurIPS 2024) compare.

A grid, not a search: every point is a control. `MODELS` are the names in tables of the reproduction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from evae.errors import unknown
from evae.lazy import optuna
from evae.networks.base import Network
from evae.posteriors.base import Posterior
from evae.posteriors.categorical import Categorical
from evae.posteriors.gaussian import Gaussian
from evae.posteriors.gaussian_exp import GaussianExp
from evae.posteriors.gaussian_relu import GaussianRelu
from evae.posteriors.laplace import Laplace
from evae.posteriors.poisson import EXACT, Poisson
from evae.recipe import Recipe
from evae.search.space import Control, Space
from search_spaces.poisson import first_log_rate


def _counts(estimator: str) -> Callable[[Network], Posterior]:
    return lambda network: Poisson(estimator=estimator, log_rate=first_log_rate(network))


MODELS: dict[str, Callable[[Network], Posterior]] = {
    "Poisson": _counts("sigmoid"),
    "Poisson, exact": _counts(EXACT),
    "Poisson, cubic": _counts("cubic"),
    "Gaussian": lambda _: Gaussian(),
    "Laplace": lambda _: Laplace(),
    "categorical": lambda _: Categorical(),
    "Gaussian-relu": lambda _: GaussianRelu(),
    "Gaussian-exp": lambda _: GaussianExp(),
}
"""All at beta 1. "Poisson" is as the paper trains it, by its sigmoid; the cubic indicator is of the authors' later
work."""


def suggest(trial: optuna.trial.BaseTrial, base: Recipe) -> Recipe:
    """`base` with one of the models."""
    return replace(base, posterior=MODELS[trial.suggest_categorical("model", list(MODELS))](base.network))


def grid(models: Sequence[str] = tuple(MODELS)) -> Space:
    """Each of these models. Raises UserError for one that is none of MODELS."""
    for name in models:
        if name not in MODELS:
            raise unknown("model", name, MODELS)
    return Space(suggest, tuple(Control(name, {"model": name}, origin="paper") for name in models), is_grid=True)
