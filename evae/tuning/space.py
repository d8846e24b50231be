"""What a search space is: a function of an Optuna trial, and the points of it that every study trains first."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution

from evae.recipe import Recipe

Suggest = Callable[[optuna.trial.BaseTrial, Recipe], Recipe]


@dataclass(frozen=True)
class Control:
    """A configuration trained in every study of a space, as a yardstick: parameters as the space names them."""

    label: str
    params: Mapping[str, Any]
    origin: str = "control"


@dataclass(frozen=True)
class Space:
    """`suggest(trial, base)` turns a trial's suggestions into a recipe; `controls` come first in every study.

    Of a grid the controls are all there is.
    """

    suggest: Suggest
    controls: tuple[Control, ...] = ()
    is_grid: bool = False

    def distributions(self, params: Mapping[str, Any], base: Recipe) -> dict[str, BaseDistribution]:
        """The ranges that these parameters were drawn from: what Optuna needs to take a trial over."""
        trial = optuna.trial.FixedTrial(dict(params))
        self.suggest(trial, base)
        return trial.distributions

    def recipe(self, params: Mapping[str, Any], base: Recipe) -> Recipe:
        """The recipe of these parameters."""
        return self.suggest(optuna.trial.FixedTrial(dict(params)), base)

    def describe(self, base: Recipe, draws: int = 200) -> dict[str, dict[str, Any]]:
        """Parameter name -> its choices or range, found by drawing `draws` random points of the space."""
        found: dict[str, BaseDistribution] = {}
        with_seed = optuna.samplers.RandomSampler(seed=0)
        study = optuna.create_study(sampler=with_seed)
        for _ in range(draws):
            trial = study.ask()
            self.suggest(trial, base)
            found |= trial.distributions
        return {name: _describe(found[name]) for name in sorted(found)}


def _describe(distribution: BaseDistribution) -> dict[str, Any]:
    if isinstance(distribution, CategoricalDistribution):
        return {"choices": list(distribution.choices)}
    return {key: value for key, value in vars(distribution).items() if value is not None}
