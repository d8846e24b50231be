"""EVAEs that differ in their kernel alone, and EVAEs of all kinds: what a kernel does, and what all else does.

A grid, not a search. Its yardsticks are nine kernels at the paper's setting, each rescaled to the variance of the
Epanechnikov kernel, and what an EVAE has to be better than: a VAE with several weights of its rate, and an autoencoder.
Its points are EVAEs whose kernel, bandwidth, prior, its width and beta were drawn independently of each other and of
any result, so that a parameter's share of what varies can be told. They are the same for all data.
"""

from __future__ import annotations

import math
import random

from evae.kernels import KERNELS
from evae.lazy import optuna
from evae.posteriors.autoencoder import Autoencoder
from evae.posteriors.evae import PRIORS, Evae
from evae.posteriors.gaussian import Gaussian
from evae.recipe import Recipe
from evae.search.space import Control, Space
from search_spaces.kernels import PAPER

BETAS = (1.0, 0.3, 0.1, 0.03, 0.01)
"""Weights of the VAE's rate. The EVAE's own rate is a bound, which compares with no KL divergence, so that no VAE of
equal rate can be named beforehand: the best of these stands for it."""
RANGES = {"bandwidth": (0.05, 2.0), "prior_width": (1e-2, 1e1), "beta": (1e-2, 1e1)}
"""From where to where numbers are drawn, evenly in their logarithms."""
METRICS = ("rec_fd", "gen_fd", "xpd_fd")
"""The distance of reconstructions, of samples from the prior, and of samples from a density fitted to the codes."""
PAPERS = "EVAE, epanechnikov"


def suggest(trial: optuna.trial.BaseTrial, base: Recipe) -> Recipe:
    """`base` with an EVAE, a VAE or an autoencoder."""
    method = trial.suggest_categorical("method", ["evae", "gaussian", "autoencoder"])
    if method == "autoencoder":
        return base.with_posterior(Autoencoder())
    beta = trial.suggest_float("beta", *RANGES["beta"], log=True)
    if method == "gaussian":
        return base.with_posterior(Gaussian(beta=beta))
    posterior = Evae(
        kernel=trial.suggest_categorical("kernel", list(KERNELS)),
        bandwidth=trial.suggest_float("bandwidth", *RANGES["bandwidth"], log=True),
        prior=trial.suggest_categorical("prior", list(PRIORS)),
        prior_width=trial.suggest_float("prior_width", *RANGES["prior_width"], log=True),
        beta=beta,
    )
    return base.with_posterior(posterior)


def grid(points: int) -> Space:
    """The yardsticks and the first so many of the points, of which there is no end."""
    controls = [Control(f"EVAE, {kernel}", {**PAPER, "kernel": kernel}) for kernel in KERNELS]
    controls += [Control(f"VAE, beta {beta:g}", {"method": "gaussian", "beta": beta}) for beta in BETAS]
    controls.append(Control("autoencoder", {"method": "autoencoder"}))
    dice = random.Random(0)
    drawn = [Control(f"point {number}", _point(dice), origin="grid") for number in range(1, points + 1)]
    return Space(suggest, (*controls, *drawn), is_grid=True)


def _point(dice: random.Random) -> dict[str, float | str]:
    numbers = {name: math.exp(dice.uniform(*map(math.log, ends))) for name, ends in RANGES.items()}
    return {"method": "evae", "kernel": dice.choice(list(KERNELS)), "prior": dice.choice(PRIORS), **numbers}


def claims() -> tuple[str, ...]:
    """What is stated before the first training, in three questions: is the Epanechnikov kernel the best; does a kernel
    matter beside bandwidth and width of the prior; and does the paper's EVAE gain over VAEs and an autoencoder?"""
    others = [f"EVAE, {kernel}" for kernel in KERNELS if kernel != "epanechnikov"]
    found = [f"{PAPERS} < {other} in {metric}" for metric in METRICS for other in others]
    for metric in METRICS:
        found.append(f"kernel explains > 0.05 of {metric}")
        found += [f"{parameter} explains > 0.05 of {metric}" for parameter in ("bandwidth", "prior_width")]
        found += [f"{PAPERS} < {rival} in {metric}" for rival in ("best method gaussian", "autoencoder")]
    return tuple(found)
