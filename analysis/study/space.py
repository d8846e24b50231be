"""The searched parameters as a study's manifest describes them, as Optuna's distributions."""

import math
from typing import TypeGuard

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution


def distribution(text: object) -> BaseDistribution | None:
    """The Optuna distribution of a parameter as the manifest describes it; None for one without width, and for what
    describes none.
    """
    if not isinstance(text, dict):
        return None
    choices = text.get("choices")
    if isinstance(choices, list):
        plain = len(choices) > 1 and all(isinstance(choice, str | int | float | None) for choice in choices)
        return CategoricalDistribution(choices) if plain else None
    low, high, log, step = text.get("low"), text.get("high"), bool(text.get("log")), text.get("step")
    if not (_is_number(low) and _is_number(high) and low < high) or (log and low <= 0):
        return None
    step = step if _is_number(step) and step > 0 and not log else None
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=log, step=max(1, int(step or 1)))
    return FloatDistribution(low, high, log=log, step=step)


def contains(distribution: BaseDistribution, value: object) -> bool:
    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    return _is_number(value) and distribution.low <= value <= distribution.high


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
