"""The examples at work: images from a function, networks for 96 px, and a tracker's files."""

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from tiny import tiny_images, tiny_recipe

from evae import data, plugins
from evae.data.base import DataRecipe, ImageSet, content_digest
from evae.errors import UserError
from evae.networks import network
from evae.registry import forget, registered_by
from evae.trackers import tracker
from evae.training import Training

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def example():
    """A function that loads one by its name; it is forgotten afterwards."""
    yield lambda name: plugins.load([str(EXAMPLES / name)])
    for name in list(plugins.LOADED):
        forget(registered_by(name))
        del plugins.LOADED[name]


def test_images_come_from_a_function_in_any_size_and_channels(example):
    example("discs.py")
    images = data.load(DataRecipe(source="discs", image_size=(24, 16), train_images=20))
    assert images.train.shape == (20, 5, 24, 16) and images.labels.classes == ("small", "large")
    large, small = (images.train[images.labels.train == label].mean() for label in (1, 0))
    assert large > 2 * small


def test_networks_for_96_pixels_train(example):
    example("network_96px.py")
    small = tiny_images()
    splits = [split.repeat(3, axis=2).repeat(3, axis=3) for split in (small.train, small.validation, small.test)]
    images = ImageSet(*splits, "tiny", content_digest(splits), "resize", ())
    recipe = replace(tiny_recipe(epochs=1), network=network["strided"](width=0.25))
    assert images.image_size == 96 and Training(recipe, images).train_epoch()["train_loss_nats"] > 0
    with pytest.raises(UserError, match="96 pixels, not 32"):
        Training(recipe, small)


def test_a_tracker_writes_lines(example, tmp_path):
    example("json_lines.py")
    lines = tracker["json-lines"](tmp_path / "json-lines", print)
    lines.trial_start({"trial": "t-s0", "state": "running"})
    lines.epoch({"trial": "t-s0"}, {"epoch": 1, "train_loss_nats": 3.5})
    lines.trial_end({"trial": "t-s0", "ended_at": datetime(2026, 3, 2)})
    written = [json.loads(line) for line in (tmp_path / "json-lines" / "rows.jsonl").read_text().splitlines()]
    assert [line["what"] for line in written] == ["trial_start", "epoch", "trial_end"]
    assert written[1]["train_loss_nats"] == 3.5
