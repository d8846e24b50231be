"""When two trials are the same one."""

from dataclasses import replace

import pytest
from tiny import flipping, tiny_recipe

from evae.data.base import DataRecipe
from evae.densities import KernelDensity
from evae.identity import identity
from evae.numerics import NUMERICS
from evae.posteriors.gaussian import Gaussian
from evae.recipe import Evaluation, Recipe

RECIPE = tiny_recipe()


def of(recipe: Recipe, data: str = "d", precision: str = "fp32", numerics: int = NUMERICS) -> str:
    return identity(recipe.to_dict(), data, precision, numerics)


@pytest.mark.parametrize(
    "same",
    [
        replace(RECIPE, evaluation=Evaluation(densities=(KernelDensity(),), downstream=(5,), iw_samples=3)),
        replace(RECIPE, data=DataRecipe(source="folder:elsewhere", train_images=24)),
        replace(RECIPE, optimisation=replace(RECIPE.optimisation, precision="auto")),
    ],
    ids=["measured otherwise", "images that lie elsewhere", "arithmetic left to the hardware"],
)
def test_what_does_not_change_the_training_is_the_same_trial(same):
    assert of(same) == of(RECIPE)


@pytest.mark.parametrize(
    "other",
    [
        replace(RECIPE, seed=1),
        replace(RECIPE, latent=4),
        replace(RECIPE, posterior=Gaussian(beta=0.5)),
        replace(RECIPE, optimisation=replace(RECIPE.optimisation, epochs=4)),
        flipping(RECIPE),
    ],
    ids=["seed", "latent", "beta", "epochs", "mirrored"],
)
def test_what_changes_it_is_another(other):
    assert of(other) != of(RECIPE)


def test_so_do_images_arithmetic_plug_ins_and_numerics():
    names = {of(RECIPE), of(RECIPE, data="e"), of(RECIPE, precision="bf16"), of(RECIPE, numerics=NUMERICS + 1)}
    plugged = [RECIPE.to_dict() | {"plugins": {"a.py": digest}} for digest in ("1", "2")]
    assert len(names | {identity(each, "d", "fp32") for each in plugged}) == 6


def test_a_name_lasts():
    """It stands in every row: where this changes, nothing that was trained before is taken again."""
    assert of(RECIPE, numerics=1) == "43f69f6106dfb393887810b9"
