"""A trial repeated from its recipe alone gives the numbers of the study that trained it."""

import json
from pathlib import Path

import pytest
from tiny import tiny_images, tiny_recipe

from evae import repeat
from evae.errors import UserError
from evae.evaluation import evaluate
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


def test_the_printed_table_is_what_was_measured(monkeypatch: pytest.MonkeyPatch, capsys, tmp_path: Path) -> None:
    monkeypatch.setattr("evae.data.load", lambda *_: tiny_images())
    repeat.main(json.dumps(tiny_recipe(epochs=1).to_dict()), device="cpu", weights=tmp_path / "w.safetensors")
    printed = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    again = repeat.repeat(Recipe.from_dict(tiny_recipe(epochs=1).to_dict()), tiny_images())[1].metrics
    assert float(printed["rec_psnr_db"]) == pytest.approx(again["rec_psnr_db"], rel=1e-5)
    assert (tmp_path / "w.safetensors").stat().st_size > 100
