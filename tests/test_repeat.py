"""A trial repeated from its recipe alone gives the numbers of the study that trained it."""

import json
from pathlib import Path

import pytest
import torch
from tiny import tiny_images, tiny_recipe

from evae import repeat
from evae.errors import UserError
from evae.evaluation import evaluate
from evae.hardware import processor
from evae.metrics.features import load_features
from evae.metrics.reference import reference
from evae.recipe import Recipe
from evae.training import Training


def test_a_repeated_trial_has_the_same_numbers() -> None:
    recipe, images = tiny_recipe(seed=3), tiny_images()
    features = load_features(recipe.evaluation.features)
    training = Training(recipe, images)
    for _ in range(recipe.optimisation.epochs):
        training.train_epoch()
        training.validate()
    splits = {split: reference(getattr(images, split), images.train, features) for split in ("validation", "test")}
    once = evaluate(training, features, splits).metrics
    again = repeat.repeat(recipe, images)[1].metrics
    assert again == once


def test_a_recipe_is_read_from_text_or_file(tmp_path: Path) -> None:
    recipe = tiny_recipe()
    text = json.dumps(recipe.to_dict())
    (tmp_path / "recipe.json").write_text(text)
    assert repeat.parse(text) == repeat.parse(str(tmp_path / "recipe.json")) == recipe


@pytest.mark.parametrize(
    ("text", "says"),
    [("{", "not JSON"), ("absent.json", "Give the recipe as JSON"), ('{"beta": 1}', "unknown key in recipe")],
)
def test_what_is_no_recipe_is_refused(text: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        repeat.parse(text)


HERE = {"device": "cpu", "threads": 1, "precision": "fp32", "processor": "X, AVX2", "workers": 1}


def test_the_same_conditions_promise_the_same_values() -> None:
    assert "so are the values" in repeat.comparison(HERE, HERE)
    assert "so are the values" in repeat.comparison(HERE, HERE | {"workers": None})


@pytest.mark.parametrize(
    ("name", "there"),
    [("device", "cuda"), ("threads", 2), ("precision", "bf16"), ("processor", "Y, AVX512"), ("workers", 2)],
)
def test_each_difference_from_what_was_recorded_is_said_and_how_much_it_makes(name: str, there: str | int) -> None:
    said = repeat.comparison(HERE, HERE | {name: there})
    assert f"Other than recorded: {name} {HERE[name]} instead of {there}." in said and "another seed's" in said
    assert repeat.comparison(HERE, dict.fromkeys(HERE) | {name: there}) == said


def test_of_a_run_of_which_nothing_is_recorded_nothing_is_promised() -> None:
    assert repeat.comparison(HERE, dict.fromkeys(HERE)) == ""
    assert repeat.comparison(HERE, dict.fromkeys(HERE) | {"threads": 1}) == ""


def test_conditions_are_those_of_this_machine() -> None:
    recipe = tiny_recipe(precision="auto")
    here = repeat.conditions(recipe, tiny_images(), torch.device("cpu"), 3)
    training = Training(recipe, tiny_images())
    assert here["precision"] == training.precision and here["threads"] == 3 and here["device"] == "cpu"
    assert here["processor"] == processor(torch.device("cpu"))


def test_a_recorded_trial_is_repeated_with_its_threads(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr("evae.data.load", lambda *_: tiny_images())
    recipe, before, used = json.dumps(tiny_recipe(epochs=1).to_dict()), torch.get_num_threads(), []
    train = Training.train_epoch
    monkeypatch.setattr(Training, "train_epoch", lambda self: used.append(torch.get_num_threads()) or train(self))
    try:
        repeat.main(recipe, device="cuda", threads=2, precision="fp32", processor="another")
    finally:
        torch.set_num_threads(before)
    assert used == [2]
    said = capsys.readouterr().err
    assert ("device cpu instead of cuda" in said) == (not torch.cuda.is_available())
    assert "instead of another" in said and "threads" not in said and "precision" not in said
    with pytest.raises(UserError, match="at least 1"):
        repeat.main(recipe, threads=0)


def test_the_printed_table_is_what_was_measured(monkeypatch: pytest.MonkeyPatch, capsys, tmp_path: Path) -> None:
    monkeypatch.setattr("evae.data.load", lambda *_: tiny_images())
    repeat.main(json.dumps(tiny_recipe(epochs=1).to_dict()), device="cpu", weights=tmp_path / "w.safetensors")
    printed = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    again = repeat.repeat(Recipe.from_dict(tiny_recipe(epochs=1).to_dict()), tiny_images())[1].metrics
    assert float(printed["rec_psnr_db"]) == pytest.approx(again["rec_psnr_db"], rel=1e-5)
    assert (tmp_path / "w.safetensors").stat().st_size > 100
