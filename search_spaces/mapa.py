"""The space of MAPA-inspired inference and what it is to be measured against, for points of one latent.

Yacoby, Pan & Doshi-Velez (arXiv 2403.08941); of its text only the abstract was at hand, so that nothing here is the
paper's. Conditional: only weights over training points have a width and an order.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from evae.data import load
from evae.inference import Amortised, Em, Inference, InnerLoop, Mapa
from evae.inference.codes import ORDERS
from evae.inference.widths import RULES
from evae.lazy import optuna
from evae.networks.table import Table
from evae.posteriors.gaussian import Gaussian
from evae.recipe import Recipe
from evae.search.space import Control, Space

BY_WEIGHTS: dict[str, type[Inference]] = {"mapa": Mapa, "kde": Mapa, "em": Em}
"""Methods that have weights over training points. Of "kde" a free table is in the decoder's place."""
METHODS = ("vae", "iwae", "inner_loop", *BY_WEIGHTS)
SLOWEST, FASTEST = 3e-4, 3e-2
"""Learning rates."""


def _suggest(trial: optuna.trial.BaseTrial, base: Recipe, points: int) -> Recipe:
    """`base` with one of the methods, for so many training points."""
    method = trial.suggest_categorical("method", METHODS)
    slowest, fastest = min(SLOWEST, base.optimisation.learning_rate), max(FASTEST, base.optimisation.learning_rate)
    rate = trial.suggest_float("learning_rate", slowest, fastest, log=True)
    optimisation = replace(base.optimisation, learning_rate=rate)
    base = replace(base, optimisation=optimisation)
    recipe = replace(base, posterior=Gaussian(), importance_samples=0, inference=Amortised())
    if method == "iwae":
        return replace(recipe, importance_samples=trial.suggest_int("importance_samples", 2, 64, log=True))
    if method == "inner_loop":
        return replace(recipe, inference=InnerLoop(most=trial.suggest_int("most", 10, 100, log=True)))
    if method not in BY_WEIGHTS:
        return recipe
    rule = trial.suggest_categorical("width_rule", RULES)
    width = trial.suggest_float("width", 0.01, 1.0, log=True) if rule == "given" else None
    codes = trial.suggest_categorical("codes", ("best", *ORDERS))
    network = Table(rows=points) if method == "kde" else base.network
    return replace(recipe, network=network, inference=BY_WEIGHTS[method](width_rule=rule, width=width, codes=codes))


def space(base: Recipe) -> Space:
    """Around a study's `base`, whose learning rate its controls have. Its points are read, to be counted."""
    points = len(load(base.data).train)
    rate = {"learning_rate": base.optimisation.learning_rate}
    weights = rate | {"width_rule": "self_consistent", "codes": "best"}
    return Space(
        partial(_suggest, points=points),
        (
            Control("VAE", {"method": "vae"} | rate),
            Control("IWAE, 5 samples", {"method": "iwae", "importance_samples": 5} | rate),
            Control("IWAE, 50 samples", {"method": "iwae", "importance_samples": 50} | rate),
            Control("VAE, inner loop", {"method": "inner_loop", "most": 100} | rate),
            Control("mean-shifted KDE", {"method": "kde"} | weights),
            Control("MAPA-inspired", {"method": "mapa"} | weights),
            Control("MAPA-inspired, width by validation", {"method": "mapa"} | weights | {"width_rule": "validation"}),
            Control("MAPA-inspired, first coordinate", {"method": "mapa"} | weights | {"codes": "first"}),
            Control("EM from MAPA-inspired", {"method": "em"} | weights),
        ),
    )
