"""Images that are no squares, with other channels than one or three: trained, measured, kept, exported, encoded."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import tiny_recipe

from evae import encode as encode_command
from evae import export
from evae.adversarial import Adversarial
from evae.checkpoints import dump_model, dump_training, read_kept, restore_training
from evae.criteria import criterion
from evae.data import DataRecipe, ImageSet, load
from evae.encoding.job import Job, encode
from evae.errors import UserError
from evae.evaluation import evaluate
from evae.metrics.features import load_features
from evae.metrics.reference import references
from evae.networks import Conv, LiteVae, PatchGan, ResNetV2, SdVae, UNetDiscriminator
from evae.networks import network as networks
from evae.pretrained import open_model
from evae.recipe import Recipe
from evae.training import Training

MAPS = {"decoder_width": 1 / 32, "downsampling": 4}
CASES = [
    (Conv(width=0.1), {}),
    (ResNetV2(width=0.0625), {"adversarial": Adversarial(discriminator=PatchGan(width=0.05))}),
    (SdVae(width=1 / 32, **MAPS), {"criteria": (criterion["wavelet"](), criterion["high_frequency"]())}),
    (LiteVae(size="S", width=0.2, **MAPS), {}),
]
SIZE, CHANNELS = (16, 32), 5


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> ImageSet:
    folder = tmp_path_factory.mktemp("arrays")
    coarse = np.random.default_rng(0).integers(0, 256, (60, 4, 8, CHANNELS), dtype=np.uint8)
    np.save(folder / "a.npy", coarse.repeat(4, axis=1).repeat(4, axis=2))
    return load(DataRecipe(source=f"npy:{folder / 'a.npy'}", validation_images=12))


def recipe(network, parts: dict) -> Recipe:
    return replace(tiny_recipe(epochs=2), network=network, data=DataRecipe(image_size=SIZE), **parts)


@pytest.mark.parametrize(("network", "parts"), CASES, ids=lambda case: getattr(case, "family", ""))
def test_a_training_continues_exactly_and_its_model_comes_back(network, parts, images):
    given = recipe(network, parts)
    assert Recipe.from_dict(json.loads(json.dumps(given.to_dict()))) == given
    training, other = Training(given, images), Training(given, images)
    training.train_epoch()
    restore_training(other, dump_training(training))
    losses = [each.train_epoch()["train_loss_nats"] for each in (training, other)]
    assert losses[0] == losses[1]
    kept = read_kept(dump_model(training.model, given, images.image_size, images.channels), "a")
    assert (kept.image_size, kept.channels) == (SIZE, CHANNELS)
    assert kept.model.sample(2, torch.Generator().manual_seed(0)).shape == (2, CHANNELS, *SIZE)


def test_half_of_a_rectangle_is_one(images):
    given = recipe(CASES[2][0], {})
    training = Training(replace(given, optimisation=replace(given.optimisation, half_size_epochs=1)), images)
    assert [training.train_epoch()["train_image_size"] for _ in range(2)] == [8, 16]


def test_metrics_and_pictures_of_false_colours(images):
    training = Training(recipe(*CASES[2]), images)
    training.train_epoch()
    features = load_features("efficientnet-lite0-b2")
    found = evaluate(training, features, references({"test": images.test}, images.train, features, cache=None))
    assert found.metrics["code_shape"] == "3 x 4 x 8" and found.metrics["rec_psnr_db"] > 0
    for row in found.pictures:
        width, height = Image.open(io.BytesIO(row["png"])).size
        assert (width, height) == (row["columns"] * SIZE[1], row["rows"] * SIZE[0]) and row["image_size"] == SIZE[0]
    assert {"real", "sampled", "code_maps", "perturbed"} <= {row["kind"] for row in found.pictures}


def test_it_is_exported_and_encoded(images, tmp_path):
    given = recipe(*CASES[3])
    weights = dump_model(Training(given, images).model, given, images.image_size, images.channels)
    Path(tmp_path / "a.safetensors").write_bytes(weights)
    export.main(str(tmp_path / "a.safetensors"), tmp_path / "out")
    assert "images of 5 x 16 x 32 in [0, 1]" in (tmp_path / "out" / "README.md").read_text()
    kept = open_model(tmp_path / "out")
    about = encode(Job(kept, images), tmp_path / "codes", torch.device("cpu"), lambda _: None)
    assert about["shape"] == [3, 4, 8]
    with pytest.raises(UserError, match="photos has images of 3 x 16 x 32, and the model takes 5 x 16 x 32"):
        encode_command.main(str(tmp_path / "out"), tmp_path / "others", data="photos")


def test_networks_and_discriminators_that_take_squares_say_so():
    with pytest.raises(UserError, match=r"the cells networks take square images, not 28 x 16 px. Use one number"):
        recipe(networks["cells"](), {}).check_trainable(1, (28, 16))
    given = recipe(Conv(), {"adversarial": Adversarial(discriminator=UNetDiscriminator())})
    given.check_trainable(1, (32, 48))
    with pytest.raises(UserError, match=r"U-Net networks .* not of 24. Use image_size 32 in the place of 24"):
        given.check_trainable(1, (32, 24))
