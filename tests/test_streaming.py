"""Training and evaluation on images that stay in their files: the numbers are those of images in memory."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import adversarial_recipe, flipping, tiny_recipe

from evae.checkpoints import dump_training, restore_training
from evae.data import DataRecipe, ImageSet, load
from evae.data.stream import PictureLost
from evae.evaluation import evaluate
from evae.evaluation.codes import training_codes
from evae.metrics.features import load_features
from evae.metrics.reference import references
from evae.posteriors import Mixture
from evae.training import Training

CLOCKS = ("train_s", "images_per_s")


def write(folder: Path, count: int = 50) -> None:
    """Blurred random blobs of 32 px in grey."""
    for number in range(count):
        coarse = np.random.default_rng(number).integers(0, 256, (8, 8), dtype=np.uint8)
        Image.fromarray(coarse.repeat(4, axis=0).repeat(4, axis=1)).save(folder / f"{number:02}.png")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ImageSet]:
    folder = tmp_path_factory.mktemp("pictures")
    write(folder)
    recipe = DataRecipe(source=f"folder:{folder}", validation_images=10)
    return {stream: load(recipe, stream=stream) for stream in ("never", "always")}


def epoch(training: Training) -> dict[str, float]:
    measured = training.train_epoch() | training.validate()
    return {name: value for name, value in measured.items() if name not in CLOCKS}


def same(a: Training, b: Training) -> bool:
    mine, other = a.model.state_dict(), b.model.state_dict()
    return all(torch.equal(value, other[name]) for name, value in mine.items())


@pytest.mark.parametrize("recipe", [flipping(tiny_recipe()), adversarial_recipe(Mixture(mixture_size=13))])
def test_trainings_are_bit_identical_and_take_up_each_others_checkpoints(recipe, images):
    memory, stream = (Training(recipe, images[which]) for which in ("never", "always"))
    assert epoch(memory) == epoch(stream)
    saved = dump_training(memory)
    measured = [epoch(memory) for _ in range(2)]
    taken_up = Training(recipe, images["always"])
    restore_training(taken_up, saved)
    assert [epoch(taken_up) for _ in range(2)] == measured
    assert same(memory, taken_up)
    assert torch.equal(training_codes(memory), training_codes(taken_up))


def test_evaluations_are_the_same(images):
    features, found = load_features("efficientnet-lite0-b2"), []
    for given in images.values():
        training = Training(tiny_recipe(), given)
        training.train_epoch()
        splits = {split: getattr(given, split) for split in ("validation", "test")}
        found.append(evaluate(training, features, references(splits, given.train, features, cache=None)))
    assert found[0].metrics == found[1].metrics and found[0].distances == found[1].distances
    assert found[0].pictures == found[1].pictures


def test_a_file_that_disappears_ends_the_training_with_its_name(tmp_path):
    write(tmp_path, 40)
    images = load(DataRecipe(source=f"folder:{tmp_path}", validation_images=5), stream="always")
    training = Training(replace(tiny_recipe(), seed=1), images)
    training.train_epoch()
    gone = images.train.files.names[images.train.pictures[3]]
    (tmp_path / gone).unlink()
    with pytest.raises(PictureLost, match=gone):
        training.train_epoch()
    assert training.epoch == 1
