"""A configuration in a search: its recipe, and what has become of its replicates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna

from evae.recipe import Recipe
from evae.search.constraints import Constraint, violations
from evae.search.objectives import complete, means


@dataclass(frozen=True)
class Standing:
    """What a configuration's replicates say of it: the objectives' `means` over those that finished with a finite value
    of each, None where there are none; and by how much these break each constraint."""

    means: list[float] | None
    violations: list[float]


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
    _standing: tuple[Any, Standing | None] = field(default=(None, None), init=False, repr=False, compare=False)

    def standing(self, objectives: Sequence[tuple[str, str]], constraints: Sequence[Constraint] = ()) -> Standing:
        """Found anew only where another replicate has ended: rows do not change once they are there."""
        asked = len(self.ended), *objectives, *constraints
        if self._standing[0] != asked:
            rows = complete(self.ended.values(), objectives)
            found = Standing(means(rows, objectives) if rows else None, violations(rows, constraints))
            self._standing = asked, found
        return self._standing[1]
