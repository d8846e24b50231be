"""A grid of discriminators for one MoG-VAE: weight, start and loss, beside none at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from evae.adversarial import LARGEST_WEIGHT, LOSSES, Adversarial
from evae.lazy import optuna
from evae.networks import PatchGan
from evae.posteriors.mixture import Mixture
from evae.recipe import Recipe
from evae.search.space import Control, Space
from search_spaces.mog import official


def suggest(trial: optuna.trial.BaseTrial, base: Recipe) -> Recipe:
    """The official code's MoG-VAE at the size of `base`, with a discriminator of the networks' width or without."""
    base = replace(official(base), posterior=Mixture())
    if not trial.suggest_categorical("discriminator", [True, False]):
        return base
    return replace(
        base,
        adversarial=Adversarial(
            discriminator=PatchGan(width=base.network.width),
            weight=trial.suggest_float("disc_weight", 1e-9, LARGEST_WEIGHT, log=True),
            start_epoch=trial.suggest_int("disc_start", 1, 1_000_000),
            loss=trial.suggest_categorical("disc_loss", list(LOSSES)),
        ),
    )


def grid(weights: Sequence[float], starts: Sequence[int], losses: Sequence[str]) -> Space:
    """No discriminator, and each of these. Raises UserError for values that none can have."""
    controls = [Control("no discriminator", {"discriminator": False})]
    for loss in losses:
        for start in starts:
            for weight in weights:
                # Optuna would only warn of a value outside of its range.
                Adversarial(weight=weight, start_epoch=start, loss=loss)
                label = f"{loss}, weight {weight:g}, from epoch {start}"
                params = {"discriminator": True, "disc_weight": weight, "disc_start": start, "disc_loss": loss}
                controls.append(Control(label, params, origin="grid"))
    return Space(suggest, tuple(controls), is_grid=True)
