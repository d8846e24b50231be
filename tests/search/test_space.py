"""Search spaces as text and as Optuna's distributions."""

import json
from dataclasses import replace

import optuna

from evae.posteriors.autoencoder import Autoencoder
from evae.posteriors.gaussian import Gaussian
from evae.recipe import Recipe
from evae.search.space import Control, Space


def suggest(trial: optuna.trial.BaseTrial, base: Recipe) -> Recipe:
    if trial.suggest_categorical("plain", [True, False]):
        return replace(base, posterior=Autoencoder())
    latent = trial.suggest_int("latent", 2, 64, log=True)
    return replace(base, latent=latent, posterior=Gaussian(beta=trial.suggest_float("beta", 0.5, 4.0, step=0.5)))


SPACE = Space(suggest)


def test_the_description_is_json_with_each_kind_of_range():
    told = json.loads(json.dumps(SPACE.describe(Recipe())))
    assert told["plain"] == {"choices": [True, False]}
    assert {"low": 2, "high": 64, "log": True}.items() <= told["latent"].items()
    assert {"low": 0.5, "high": 4.0, "step": 0.5, "log": False}.items() <= told["beta"].items()
    assert list(told) == ["beta", "latent", "plain"]
    assert not [key for each in told.values() for key in each if key.startswith("_")]


def test_distributions_are_those_of_the_branch_that_the_parameters_take():
    assert set(SPACE.distributions({"plain": True}, Recipe())) == {"plain"}
    found = SPACE.distributions({"plain": False, "latent": 8, "beta": 1.0}, Recipe())
    assert set(found) == {"plain", "latent", "beta"}
    assert (found["latent"].low, found["latent"].high) == (2, 64)


def test_a_description_disturbs_no_other_study():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    expected = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)).ask().suggest_float("x", 0, 1)
    SPACE.describe(Recipe())
    assert study.ask().suggest_float("x", 0, 1) == expected


def test_recipes_are_those_of_the_controls_and_of_random_points():
    control = Control("one", {"plain": False, "latent": 3, "beta": 4.0})
    first, *drawn = Space(suggest, (control,)).recipes(Recipe())
    assert (first.latent, first.posterior) == (3, Gaussian(beta=4.0))
    assert len({recipe.configuration() for recipe in drawn}) > 50
    assert {type(recipe.posterior) for recipe in drawn} == {Autoencoder, Gaussian}


def test_of_a_grid_nothing_is_drawn():
    """A point that is none of the grid's might be one that no recipe takes."""
    grid = Space(suggest, (Control("one", {"plain": True}),), is_grid=True)
    assert [recipe.posterior for recipe in grid.recipes(Recipe())] == [Autoencoder()]
    assert set(grid.describe(Recipe())) == {"plain"}
