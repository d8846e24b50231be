"""The searched parameters as a study's manifest describes them, as Optuna's distributions."""

import math

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution


def distribution(text: object) -> BaseDistribution | None:
    """The Optuna distribution of a parameter as the manifest describes it; None for one without width."""
    if not isinstance(text, dict):
        return None
    if "choices" in text:
        return CategoricalDistribution(text["choices"]) if len(text["choices"]) > 1 else None
    if "low" not in text or "high" not in text or not text["low"] < text["high"]:
        return None
    low, high, log, step = text["low"], text["high"], bool(text.get("log")), text.get("step")
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=log, step=1 if log else int(step or 1))
    return FloatDistribution(low, high, log=log, step=None if log else step)


def contains(distribution: BaseDistribution, value: object) -> bool:
    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        return False
    return distribution.low <= value <= distribution.high
