"""A training that goes on with more epochs is the one that had them from the beginning, or is none."""

from dataclasses import replace

import pytest
from tiny import Strided, adversarial_recipe, tiny_images, tiny_recipe

from evae.checkpoints import dump_model, dump_training, restore_training
from evae.errors import UserError
from evae.longer import begins, obstacle
from evae.posteriors.categorical import Categorical
from evae.posteriors.mixture import Mixture
from evae.recipe import Recipe
from evae.training import Training

IMAGES = tiny_images()
STRIDED = replace(tiny_recipe(), network=Strided())
EXACT = {
    "plain": tiny_recipe(),
    "warm-ups, mean weights and clipping": tiny_recipe(
        warm_up_epochs=1.5, beta_warm_up_epochs=2, ema=0.9, clip_norm=1.0, optimiser="adamw", weight_decay=0.01
    ),
    "a memory": tiny_recipe(Mixture(mixture_size=14)),
    "two sizes": replace(STRIDED, optimisation=replace(STRIDED.optimisation, half_size_epochs=1)),
    "a discriminator of later": adversarial_recipe(start_epoch=2, warm_up_epochs=1),
}


def of(recipe: Recipe, epochs: int) -> Recipe:
    return replace(recipe, optimisation=replace(recipe.optimisation, epochs=epochs))


def trained(training: Training) -> list[dict[str, float]]:
    rows = []
    while not training.finished:
        rows.append(training.train_epoch() | training.validate())
    return [{name: value for name, value in row.items() if name not in ("train_s", "images_per_s")} for row in rows]


@pytest.mark.parametrize("name", EXACT)
def test_two_epochs_and_two_more_are_four(name):
    recipe = of(EXACT[name], 4)
    whole = Training(recipe, IMAGES)
    rows = trained(whole)
    first = Training(of(recipe, 2), IMAGES)
    assert trained(first) == rows[:2]
    second = Training(recipe, IMAGES)
    restore_training(second, dump_training(first))
    assert second.epoch == 2 and trained(second) == rows[2:]
    files = [dump_model(each.model, recipe, IMAGES.image_size, IMAGES.channels) for each in (whole, second)]
    assert files[0] == files[1]
    assert dump_training(whole) == dump_training(second)


@pytest.mark.parametrize(
    ("recipe", "why"),
    [
        (tiny_recipe(schedule="cosine"), "learning rate falls as a cosine"),
        (tiny_recipe(beta_warm_up_epochs=1, beta_cycles=2), "beta cycles are equal parts"),
        (tiny_recipe(Categorical()), "temperature changes with the share of the steps"),
    ],
)
def test_what_depends_on_its_length_begins_anew(recipe, why):
    longer, first = of(recipe, 4), Training(of(recipe, 3), IMAGES)
    assert why in obstacle(longer)
    while not first.finished:
        first.train_epoch()
    with pytest.raises(UserError, match=why):
        restore_training(fresh := Training(longer, IMAGES), dump_training(first))
    assert fresh.epoch == 0
    # So it does: another first epoch, or another third one.
    whole, again = Training(longer, IMAGES), Training(of(recipe, 3), IMAGES)
    assert trained(whole)[:3] != trained(again)


def test_nothing_else_changes_with_the_length():
    for recipe in (*EXACT.values(), tiny_recipe(Categorical(annealing=0.0))):
        assert obstacle(recipe) is None


def test_it_begins_with_as_many_epochs_or_fewer_and_nothing_else():
    recipe = of(tiny_recipe(), 4)
    other = replace(recipe, evaluation=replace(recipe.evaluation, seed=5))
    four, two, elsewhere = (each.to_dict() for each in (recipe, of(recipe, 2), other))
    assert begins(four, two) and begins(four, four) and begins(elsewhere, two)
    assert not begins(two, four) and not begins(four, replace(recipe, seed=1).to_dict())
    assert not begins(of(tiny_recipe(warm_up_epochs=1), 4).to_dict(), two)
    assert not any(begins(four, wrong) for wrong in ({}, [], None, two | {"optimisation": {"epochs": "2"}}))


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"latent": 4}, {"optimisation": replace(tiny_recipe().optimisation, epochs=2)}], ids=str
)
def test_the_state_of_another_training_is_refused(change):
    first = Training(tiny_recipe(), IMAGES)
    first.train_epoch()
    with pytest.raises(UserError, match="belongs to another recipe"):
        restore_training(Training(replace(tiny_recipe(), **change), IMAGES), dump_training(first))


def test_the_state_of_another_precision_is_refused():
    first = Training(tiny_recipe(precision="auto"), IMAGES)
    first.precision = "bf16"
    with pytest.raises(UserError, match="trained in bf16, and not in fp32"):
        second = Training(tiny_recipe(precision="auto"), IMAGES)
        second.precision = "fp32"
        restore_training(second, dump_training(first))
