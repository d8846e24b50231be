"""What is said of finished trials once more epochs are wanted, and which kept states are refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny import tiny_images, tiny_recipe

from evae.checkpoints import dump_model, dump_training, restore_training
from evae.errors import UserError
from evae.recipe import Recipe
from evae.results.store import Store, StoreError
from evae.study.longer import said_of_longer, said_of_precision
from evae.training import Training

IMAGES = tiny_images()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "study")
    made.prepare()
    return made


def row(recipe: Recipe) -> dict[str, Any]:
    return {"trial": f"{recipe.configuration()}-s{recipe.seed}", "state": "finished", "recipe": recipe.to_dict()}


def ended(recipe: Recipe) -> Training:
    training = Training(recipe, IMAGES)
    while not training.finished:
        training.train_epoch()
    return training


def test_how_many_go_on_and_why_others_do_not(store):
    plain, cosine = tiny_recipe(epochs=2), tiny_recipe(epochs=2, schedule="cosine")
    rows = [row(plain), row(replace(plain, seed=1)), row(cosine)]
    state = dump_training(ended(plain))
    for each in (rows[0], rows[2]):
        store.write_bytes("states", f"{each['trial']}.safetensors", state)
    (said,) = said_of_longer(store, rows, 4)
    assert said == (
        "more epochs: of 3 finished trials 1 go on where they ended; 1 begin anew, for no state of their training was "
        "kept (--keep states); 1 begin anew, for their learning rate falls as a cosine until the last step"
    )
    assert said_of_longer(store, rows, 2) == [] == said_of_longer(store, [rows[0] | {"state": "failed"}], 4)


def test_states_in_another_arithmetic_than_here_are_said(store):
    recipe = tiny_recipe(epochs=2, precision="auto")
    one, known = ended(recipe), row(recipe)
    store.write("trials", known["trial"], [known | {"recipe": json.dumps(known["recipe"])}])
    assert said_of_precision(store, 4, lambda _: "another") == []
    store.write_bytes("states", f"{known['trial']}.safetensors", dump_training(one))
    (said,) = said_of_precision(store, 4, lambda _: "another")
    assert f"1 of these begin anew nevertheless: their states are of trainings in {one.precision}" in said
    assert said.endswith("trained in another here")
    assert (
        said_of_precision(store, 4, lambda _: one.precision) == [] == said_of_precision(store, 2, lambda _: "another")
    )
    with pytest.raises(UserError, match="was trained in"):  # which is why
        restore_training(Training(tiny_recipe(epochs=4, precision="auto"), IMAGES), other_arithmetic(one))


def other_arithmetic(training: Training) -> bytes:
    training.precision = "another"
    return dump_training(training)


def test_states_that_cannot_be_used_are_refused_by_name(store):
    recipe = tiny_recipe(epochs=2)
    one = ended(recipe)
    other, interrupted = ended(tiny_recipe(epochs=2, seed=1)), Training(recipe, IMAGES)
    interrupted.train_epoch()
    longest = ended(tiny_recipe(epochs=5))
    name = f"{row(recipe)['trial']}.safetensors"
    whole = dump_training(one)
    for data, why in {
        whole[:-10]: "bytes instead of",
        b"": "no state of a training",
        b"\xff" * 100: "no state of a training",
        dump_model(one.model, recipe, 32, 1): "no state of a training",
        dump_training(other): "of another training",
        dump_training(interrupted): "of another training",
        dump_training(longest): "of another training",
        dump_training(ended(tiny_recipe(epochs=3))): "is of 3 epochs, and its trial has had 2",
    }.items():
        store.write_bytes("states", name, data)
        with pytest.raises(StoreError, match=rf"states/{name} \(it .*{why}.*\)\. Restore it .*from its beginning"):
            said_of_longer(store, [row(recipe)], 4)
    store.write_bytes("states", name, whole)
    assert "1 go on" in said_of_longer(store, [row(recipe)], 4)[0]
