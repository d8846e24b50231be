"""The examples at work: images from arrays, networks for 96 px, and a tracker's files."""

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
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


def test_images_come_from_an_npz_file_in_either_order_of_axes(example, tmp_path):
    example("arrays.py")
    random = np.random.default_rng(0)
    train, test = (random.integers(0, 256, (n, 16, 16, 3), dtype=np.uint8) for n in (40, 8))
    np.savez(tmp_path / "a.npz", train=train, test=test)
    found = data.load(DataRecipe(source=f"npz:{tmp_path / 'a.npz'}"))
    assert found.test.shape == (8, 3, 16, 16) and len(found.train) + len(found.validation) == 40
    assert np.array_equal(found.test, test.transpose(0, 3, 1, 2))
    assert found.labels is None
    np.savez(tmp_path / "b.npz", train=train, test=test, train_labels=np.arange(40) % 3, test_labels=np.arange(8) % 2)
    found = data.load(DataRecipe(source=f"npz:{tmp_path / 'b.npz'}"))
    assert found.labels.test.tolist() == [0, 1] * 4 and found.labels.train.tolist()[:4] == [2, 0, 1, 2]


@pytest.mark.parametrize(
    ("arrays", "said"),
    [({"train": np.zeros((4, 8, 8))}, "give uint8"), ({"other": np.zeros((4, 8, 8), np.uint8)}, "needs the arrays")],
)
def test_arrays_that_are_no_images_are_refused(example, tmp_path, arrays, said):
    example("arrays.py")
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(UserError, match=said):
        data.load(DataRecipe(source=f"npz:{tmp_path / 'a.npz'}"))


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
