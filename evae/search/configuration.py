"""A configuration in a search: its recipe, and what has become of its replicates."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import optuna

from evae.recipe import Recipe


@dataclass
class Configuration:
    """A point of the space in the study: its recipe and the rows of its replicates that have ended, by seed.

    `wanted` replicates have been asked for so far. Of the fresh seeds that confirm it, `fresh` are the rows of those
    that have ended, `asked` those that this session has asked for; `attempts` are what earlier sessions made of each
    seed.
    """

    key: str
    number: int
    recipe: Recipe
    params: Mapping[str, Any]
    origin: str
    label: str | None
    optuna_trial: optuna.trial.Trial | None = None
    ended: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    wanted: int = 0
    told: bool = False
    fresh: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    asked: set[int] = field(default_factory=set)
    attempts: Mapping[int, int] = field(default_factory=dict)
