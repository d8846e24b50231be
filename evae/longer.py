"""Whether a training is the beginning of one with more epochs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evae.recipe import Recipe

MOMENTS = (0.0, 0.25, 0.5, 0.99)
"""Shares of a training at which what changes in it is looked at."""


def obstacle(recipe: Recipe) -> str | None:
    """Why the steps of a training depend on how many will follow, so that no shorter one is its beginning; None where
    they do not. Warm-ups, half-size epochs and starts of a discriminator are counted from the first step."""
    optimisation = recipe.optimisation
    if optimisation.schedule == "cosine":
        return "their learning rate falls as a cosine until the last step"
    if optimisation.beta_cycles > 1:
        return "their beta cycles are equal parts of all epochs"
    first, *others = map(recipe.posterior.scheduled, MOMENTS)
    if changing := [name for name in first if any(other[name] != first[name] for other in others)]:
        return f"their {' and '.join(changing)} changes with the share of the steps that are done"
    return None


def begins(recipe: Mapping[str, Any], shorter: Mapping[str, Any]) -> bool:
    """Whether a recipe, as plain values, is that of a `shorter` training with as many epochs or more, whatever both say
    of the evaluation."""
    try:
        return _without_length(recipe) == _without_length(shorter) and _epochs(shorter) <= _epochs(recipe)
    except (KeyError, TypeError, AttributeError):
        return False


def _epochs(recipe: Mapping[str, Any]) -> int:
    return recipe["optimisation"]["epochs"]


def _without_length(recipe: Mapping[str, Any]) -> dict[str, Any]:
    optimisation = {name: value for name, value in recipe["optimisation"].items() if name != "epochs"}
    return {**recipe, "optimisation": optimisation, "evaluation": None}
