"""What a search space is: a function of an Optuna trial, and the points of it that every study trains first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from evae.errors import UserError
from evae.lazy import optuna
from evae.recipe import Recipe

DRAWS = 200
"""Random points of a space that show what it holds: every branch of some weight is among them."""

Suggest = Callable[["optuna.trial.BaseTrial", Recipe], Recipe]


def check_undecided(base: Recipe) -> None:
    """Raise UserError where a study's `base` has a discriminator, in a space that says of each recipe which it has."""
    if base.adversarial is not None:
        raise UserError("this study's own search says which discriminator a model has: leave --discriminator out")


@dataclass(frozen=True)
class Control:
    """A configuration trained in every study of a space, as a yardstick: parameters as the space names them.

    Its `origin` is "control", "paper" for a published setting, or "grid" for what is no yardstick but one of the points
    that a grid asks about.
    """

    label: str
    params: Mapping[str, Any]
    origin: str = "control"


@dataclass(frozen=True)
class Space:
    """`suggest(trial, base)` turns a trial's suggestions into a recipe; `controls` come first in every study.

    Of a grid the controls are all there is: nothing is drawn, so its ranges may hold what no recipe takes.
    """

    suggest: Suggest
    controls: tuple[Control, ...] = ()
    is_grid: bool = False

    def distributions(
        self, params: Mapping[str, Any], base: Recipe
    ) -> dict[str, optuna.distributions.BaseDistribution]:
        """The ranges that these parameters were drawn from: what Optuna needs to take a trial over."""
        trial = optuna.trial.FixedTrial(dict(params))
        self.suggest(trial, base)
        return trial.distributions

    def recipe(self, params: Mapping[str, Any], base: Recipe) -> Recipe:
        """The recipe of these parameters."""
        return self.suggest(optuna.trial.FixedTrial(dict(params)), base)

    def describe(self, base: Recipe) -> dict[str, dict[str, Any]]:
        """Parameter name -> its choices or range, of all points that `_points` finds."""
        found: dict[str, optuna.distributions.BaseDistribution] = {}
        for trial, _ in self._points(base):
            found |= trial.distributions
        return {name: _describe(found[name]) for name in sorted(found)}

    def recipes(self, base: Recipe) -> list[Recipe]:
        """The recipes of the controls and, where there is a search, of random points of it."""
        return [recipe for _, recipe in self._points(base)]

    def _points(self, base: Recipe) -> Iterator[tuple[optuna.trial.BaseTrial, Recipe]]:
        for control in self.controls:
            fixed = optuna.trial.FixedTrial(dict(control.params))
            yield fixed, self.suggest(fixed, base)
        if not self.is_grid:
            study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
            for _ in range(DRAWS):
                trial = study.ask()
                yield trial, self.suggest(trial, base)


def _describe(distribution: optuna.distributions.BaseDistribution) -> dict[str, Any]:
    if isinstance(distribution, optuna.distributions.CategoricalDistribution):
        return {"choices": list(distribution.choices)}
    return {key: value for key, value in vars(distribution).items() if value is not None}
