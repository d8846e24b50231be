"""What a space makes of parameters that were drawn before: by an earlier session under another space, or elsewhere.

A point fits where the space asks for just these parameters. Where only a number lies beyond its range now, the point
still says what is good there: it is outside, and is told to samplers that can read it (`reads_outside`). All else is
left out, for a reason.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution

from evae.errors import UserError
from evae.identity import IN_TRAINING
from evae.recipe import Recipe
from evae.search.space import Space

OTHER = "the space has no such parameters or choices"
IMPOSSIBLE = "the space makes no recipe of its parameters"
UNREAD = "outside of the space, where this sampler reads nothing (tpe does)"
NO_VALUES = "without a value of every objective"


@dataclass(frozen=True)
class Point:
    """The recipe that a space makes of parameters, and the ranges that these are drawn from; widened for what lies
    `outside`."""

    recipe: Recipe
    distributions: Mapping[str, BaseDistribution]
    outside: bool = False

    def is_training(self, recipe: Recipe) -> bool:
        """Whether the space means this training by its parameters, but for length, seed and where the images lie."""
        return _trained(self.recipe) == _trained(recipe)

    def as_now(self, recipe: Recipe, seed: int) -> Recipe:
        """The recipe of a configuration of the study itself, for as many epochs and measured as is wanted now. It stays
        the training that it was, also where the space has come to mean another one by its parameters."""
        epochs = self.recipe.optimisation.epochs
        optimisation = replace(recipe.optimisation, epochs=epochs)
        return replace(recipe, seed=seed, optimisation=optimisation, evaluation=self.recipe.evaluation)


@dataclass(frozen=True)
class Told:
    """A configuration of the pool, and the rows of its search's seeds."""

    params: Mapping[str, Any]
    recipe: Recipe
    rows: Sequence[Mapping[str, Any]]


@dataclass
class Account:
    """What became of the trials of earlier sessions: how many were taken over, lie outside of the space, and cannot be
    used, by reason; and of how many configurations of the pool the sampler was `told`."""

    taken_over: int = 0
    outside: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    told: int = 0

    def leave_out(self, reason: str, trials: int = 1) -> None:
        self.left_out[reason] = self.left_out.get(reason, 0) + trials

    def __str__(self) -> str:
        parts = [f"{self.taken_over} trials of earlier sessions taken over"]
        parts += [f"{self.outside} outside of the space, of which the sampler knows"] if self.outside else []
        return ", ".join(parts + [f"{n} not usable: {reason}" for reason, n in self.left_out.items()])


def point(space: Space, base: Recipe, params: Mapping[str, Any]) -> Point | str:
    """The point of these parameters, or why they are none."""
    trial = optuna.trial.FixedTrial(dict(params))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of numbers beyond their range
            made = space.suggest(trial, base)
    except UserError:
        return IMPOSSIBLE
    except (ValueError, TypeError, KeyError):  # a parameter that is not there, or a choice that is none
        return OTHER
    asked = trial.distributions
    if asked.keys() != params.keys():
        return OTHER
    if any(control.params == params for control in space.controls):
        return Point(made, asked)  # which no range holds for
    wide = {name: _widened(kind, params[name]) for name, kind in asked.items()}
    return Point(made, wide, outside=wide != asked)


def _trained(recipe: Recipe) -> dict[str, Any]:
    given = recipe.to_dict()
    kept = {name: value for name, value in given.items() if name not in ("evaluation", "seed", "plugins", "data")}
    kept |= {name: given["data"].get(name, False) for name in IN_TRAINING}
    return kept | {"optimisation": {name: v for name, v in given["optimisation"].items() if name != "epochs"}}


def _widened(kind: BaseDistribution, value: Any) -> BaseDistribution:
    """The range, with this number in it."""
    if not isinstance(kind, IntDistribution | FloatDistribution) or kind._contains(kind.to_internal_repr(value)):
        return kind
    return type(kind)(min(kind.low, value), max(kind.high, value), log=kind.log)
