"""The space of MoG-VAEs: mixture, discriminator, latent size and learning rates.

Rivera, "How to train your VAE" (arXiv 2309.13160), after the paper's official code. Everything in it has that code's
likelihood and Adam's beta1, and the networks and their width are the study's, the discriminator's too. Conditional: no
mixture, none of its parameters; no discriminator, none of its.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from evae.adversarial import Adversarial
from evae.lazy import optuna
from evae.likelihoods import Laplace
from evae.networks import PatchGan
from evae.posteriors.gaussian import Gaussian
from evae.posteriors.mixture import READINGS, Mixture
from evae.recipe import Recipe
from evae.search.space import Control, Space, check_undecided

BETA1 = 0.5
OFFICIAL = {
    "method": "mixture",
    "reading": "means",
    "population_beta": 1.0,
    "individual_beta": 0.1,
    "latent": 512,
    "learning_rate": 1e-4,
    "discriminator": True,
    "disc_weight": 100.0,
    "disc_start": 1,
    "disc_learning_rate": 1e-4,
}
"""The constants of the official code."""


def official(base: Recipe) -> Recipe:
    """`base` with what the official code leaves to nobody's choice: likelihood and optimiser. Raises UserError where it
    has a discriminator, which is the space's."""
    check_undecided(base)
    return replace(base, likelihood=Laplace(), optimisation=replace(base.optimisation, beta1=BETA1))


def space(base: Recipe, mixture_sizes: Sequence[int]) -> Space:
    """Around a study's `base`: mixtures of a batch, as the official code's, or of one of these sizes.

    The controls have the base's latent size and learning rate, but for the one that is all official.
    """
    sizes = sorted({base.optimisation.batch_size, *mixture_sizes})

    def suggest(trial: optuna.trial.BaseTrial, base: Recipe) -> Recipe:
        base = _trained(trial, official(base))
        if trial.suggest_categorical("method", ["mixture", "gaussian"]) == "gaussian":
            base = replace(base, posterior=Gaussian(beta=trial.suggest_float("beta", 1e-2, 1e1, log=True)))
        else:
            base = replace(base, posterior=_mixture(trial, sizes))
        if trial.suggest_categorical("discriminator", [True, False]):
            base = replace(base, adversarial=_adversarial(trial, base))
        return base

    return Space(suggest, _controls(base))


def _trained(trial: optuna.trial.BaseTrial, base: Recipe) -> Recipe:
    """`base` with a latent size and a learning rate."""
    rate = base.optimisation.learning_rate
    return replace(
        base,
        latent=trial.suggest_int("latent", min(8, base.latent), max(512, base.latent), log=True),
        optimisation=replace(
            base.optimisation,
            learning_rate=trial.suggest_float("learning_rate", min(3e-5, rate), max(3e-3, rate), log=True),
        ),
    )


def _mixture(trial: optuna.trial.BaseTrial, sizes: list[int]) -> Mixture:
    return Mixture(
        reading=trial.suggest_categorical("reading", list(READINGS)),
        mixture_size=trial.suggest_categorical("mixture_size", sizes),
        population_beta=trial.suggest_float("population_beta", 1e-2, 1e1, log=True),
        individual_beta=trial.suggest_float("individual_beta", 1e-3, 1e0, log=True),
    )


def _adversarial(trial: optuna.trial.BaseTrial, base: Recipe) -> Adversarial:
    return Adversarial(
        discriminator=PatchGan(width=base.network.width),
        weight=trial.suggest_float("disc_weight", 1e0, 1e3, log=True),
        # Those that start in the second half have little time to tell.
        start_epoch=trial.suggest_int("disc_start", 1, (base.optimisation.epochs + 1) // 2),
        learning_rate=trial.suggest_float("disc_learning_rate", 1e-5, 1e-3, log=True),
    )


def _controls(base: Recipe) -> tuple[Control, ...]:
    trained = {"latent": base.latent, "learning_rate": base.optimisation.learning_rate}
    whole = {**OFFICIAL, "mixture_size": base.optimisation.batch_size}
    mog = whole | trained
    alone = {name: value for name, value in mog.items() if not name.startswith("disc_")} | {"discriminator": False}
    return (
        Control("MoG-VAE, official constants", whole, origin="paper"),
        Control("MoG-VAE", mog),
        Control("MoG-VAE, moment-matched", mog | {"reading": "moments"}),
        Control("MoG-VAE without discriminator", alone),
        Control(
            "VAE (standard KL)", {"method": "gaussian", "beta": 1.0, "discriminator": False} | trained, origin="paper"
        ),
    )
