"""Perceptual distances of a plug-in: a metric, an objective and a loss, by the contract that ours keep, too."""

from dataclasses import replace
from pathlib import Path

import pytest
from tiny import tiny_images, tiny_recipe

from evae import plugins
from evae.backbones.names import DISTANCES
from evae.criteria import Perceptual
from evae.errors import UserError
from evae.evaluation import evaluate
from evae.metrics.features import load_features
from evae.metrics.reference import references
from evae.recipe import Recipe
from evae.registry import forget, registered_by
from evae.search.objectives import directions
from evae.testing.families import run
from evae.testing.perceptual import CHECKS
from evae.training import Training

EXAMPLE = str(Path(__file__).parents[2] / "examples" / "pyramid.py")


@pytest.fixture
def pyramid():
    (plugin,) = plugins.load([EXAMPLE])
    yield plugin
    forget(registered_by(plugin.name))
    del plugins.LOADED[plugin.name]


@pytest.mark.parametrize("name", ["st_lpips_alex", "efficientnet_features"])
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_ours_keep_the_contract(name, check):
    check(DISTANCES[name])


def test_it_is_loss_metric_and_objective_and_its_recipe_names_the_plugin(pyramid):
    assert [result.fault for result in run(pyramid)] == [None] * len([*run(pyramid)])
    assert directions()["rec_pyramid"] == "min"
    given = replace(tiny_recipe(), criteria=(Perceptual(distance="pyramid"),))
    given = replace(given, evaluation=replace(given.evaluation, perceptual=("pyramid",)))
    assert given.plugins == {"pyramid.py"} and Recipe.from_dict(given.to_dict()) == given
    images, features = tiny_images(), load_features("efficientnet-lite0-b2")
    training = Training(given, images)
    assert training.train_epoch()["train_perceptual"] > 0
    found = evaluate(training, features, references({"test": images.test}, images.train, features, cache=None))
    assert 0 < found.metrics["rec_pyramid"] < 1


def test_one_that_is_not_loaded_is_not_known():
    with pytest.raises(UserError, match="unknown perceptual distance 'pyramid'"):
        Perceptual(distance="pyramid")


def broken(text: str, tmp_path: Path) -> list[str]:
    path = tmp_path / "lab.py"
    path.write_text(text)
    (plugin,) = plugins.load([str(path)])
    try:
        return [result.fault for result in run(plugin) if result.fault]
    finally:
        forget(registered_by(plugin.name))
        del plugins.LOADED[plugin.name]


def test_what_is_no_distance_is_said(tmp_path):
    text = """
import torch
from evae.metrics import perceptual_distance

class Odd(torch.nn.Module):
    def forward(self, x, made):
        return (x + made).mean((1, 2, 3))

@perceptual_distance("odd")
def odd():
    return Odd()
"""
    faults = broken(text, tmp_path)
    assert any("is not 0 for equal images" in fault for fault in faults)
    assert any("no text that names its weights" in fault for fault in faults)
