"""A grid over beta, the weight of the rate, for every posterior family that has one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from evae.errors import UserError, unknown
from evae.lazy import optuna
from evae.posteriors.evae import Evae
from evae.posteriors.gaussian import Gaussian
from evae.posteriors.kernel import KernelKL
from evae.posteriors.mixture import Mixture
from evae.recipe import Recipe
from evae.search.space import Control, Space

FAMILIES = ("gaussian", "kernel", "mixture", "evae")


def suggest(trial: optuna.trial.BaseTrial, base: Recipe) -> Recipe:
    """`base` with a posterior of the family, otherwise at its defaults; beta weights both terms of a mixture."""
    family = trial.suggest_categorical("method", list(FAMILIES))
    beta = trial.suggest_float("beta", 1e-9, 1e9, log=True)
    if family == "gaussian":
        posterior = Gaussian(beta=beta)
    elif family == "kernel":
        posterior = KernelKL(beta=beta)
    elif family == "evae":
        posterior = Evae(beta=beta)
    else:
        posterior = Mixture(population_beta=beta, individual_beta=beta * Mixture.individual_beta)
    return replace(base, posterior=posterior)


def grid(families: Sequence[str], betas: Sequence[float]) -> Space:
    """Each of these families with each of these weights. Raises UserError for a family or weight that there is not."""
    for name in families:
        if name not in FAMILIES:
            raise unknown("family", name, FAMILIES)
    for beta in betas:
        if not 1e-9 <= beta <= 1e9:
            raise UserError(f"--betas must be above 0 and finite, got {beta}: at 0 every family is an autoencoder")
    return Space(
        suggest,
        tuple(
            Control(f"{family}, beta {beta:g}", {"method": family, "beta": beta}, origin="grid")
            for family in families
            for beta in betas
        ),
        is_grid=True,
    )
