"""Training at two sizes: the first epochs on images of half the size, and everything measured at full size."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from tiny import Strided, adversarial_recipe, flipping, tiny_images, tiny_recipe
from torch import Tensor

from evae.batch_statistics import estimate
from evae.checkpoints import dump_model, dump_training, load_model, restore_training
from evae.criteria import MMD
from evae.data.base import ImageSet
from evae.errors import UserError
from evae.networks import LiteVae
from evae.posteriors import Gaussian, Mixture, Poisson
from evae.priors import MixturePrior
from evae.recipe import Recipe
from evae.streams import STATISTICS
from evae.training import Training, generator

IMAGES = tiny_images(train=12, validation=4, test=4)
LITE = LiteVae(size="S", width=0.2, decoder_width=0.03125)


def halved(images: ImageSet) -> ImageSet:
    """At half the size; blocks of four by four pixels have one colour, so that nothing is lost."""
    splits = {name: getattr(images, name)[..., ::2, ::2].copy() for name in ("train", "validation", "test")}
    return replace(images, **splits)


def two_sizes(recipe: Recipe | None = None, **optimisation: Any) -> Recipe:
    recipe = replace(recipe or tiny_recipe(), network=Strided())
    given = {"half_size_epochs": 1, "batch_size": 5} | optimisation
    return replace(recipe, optimisation=replace(recipe.optimisation, **given))


def epoch(training: Training) -> dict[str, float]:
    measured = training.train_epoch() | training.validate()
    return {name: value for name, value in measured.items() if name not in ("train_s", "images_per_s")}


def state(training: Training) -> dict[str, Tensor]:
    found = {f"model.{name}": value for name, value in training.model.state_dict().items()}
    found |= {f"trained.{name}": value for name, value in training.trained.state_dict().items()}
    if training.adversary:
        found |= {f"critic.{name}": value for name, value in training.adversary.module.state_dict().items()}
    return found


@pytest.mark.parametrize("network", [Strided(), LITE], ids=lambda network: network.family)
def test_an_epoch_at_half_size_is_one_on_images_of_that_size_to_the_last_bit(network):
    recipe = replace(flipping(two_sizes(batch_size=6)), criteria=(MMD(),), network=network)
    large = Training(recipe, IMAGES)
    small = Training(replace(recipe, optimisation=replace(recipe.optimisation, half_size_epochs=0)), halved(IMAGES))
    mine, other = large.train_epoch(), small.train_epoch()
    assert mine.pop("train_image_size") == 16
    for clock in ("train_s", "images_per_s"):
        mine.pop(clock), other.pop(clock)
    assert mine == other
    weights = small.trained.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in large.trained.state_dict().items())


def test_validation_is_at_full_size_and_later_epochs_train_at_it():
    training = Training(two_sizes(), IMAGES)
    rows = [epoch(training) for _ in range(2)]
    assert [row["train_image_size"] for row in rows] == [16, 32]
    # 256 pixels of ln 2 each and 1,024 of them: an untrained model's distortion is about that.
    assert rows[0]["train_distortion_nats"] < 0.5 * rows[0]["val_distortion_nats"]
    assert rows[1]["train_distortion_nats"] > 0.8 * rows[1]["val_distortion_nats"]
    assert training.model.reconstruct(torch.rand(2, 1, 32, 32)).shape == (2, 1, 32, 32)


def test_all_epochs_may_be_at_half_size_and_the_model_is_one_of_full_size(tmp_path):
    training = Training(replace(two_sizes(epochs=1), network=LITE), IMAGES)
    epoch(training)
    assert training.finished
    (tmp_path / "weights").write_bytes(dump_model(training.model, training.recipe, 32, 1))
    assert load_model(str(tmp_path / "weights")).decode(torch.zeros(1, training.model.latent)).shape == (1, 1, 32, 32)


RECIPES = {
    "ema": flipping(two_sizes(ema=0.8, clip_norm=50.0, schedule="cosine", warm_up_epochs=0.5)),
    "bf16": two_sizes(precision="bf16", beta_warm_up_epochs=1.5),
    "adversarial and ema": two_sizes(adversarial_recipe(Gaussian()), ema=0.8),
}


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("stopped_after", [1, 2])
def test_interrupted_and_restored_is_bit_identical_to_uninterrupted(name, stopped_after):
    whole, continued = (Training(RECIPES[name], IMAGES) for _ in range(2))
    measured, saved = [], b""
    for done in range(1, 4):
        measured.append(epoch(whole))
        saved = dump_training(whole) if done == stopped_after else saved
    restore_training(continued, saved)
    assert [epoch(continued) for _ in range(3 - stopped_after)] == measured[stopped_after:]
    mine, other = state(continued), state(whole)
    assert mine.keys() == other.keys() and all(torch.equal(mine[name], other[name]) for name in mine)


def test_batch_norm_is_measured_with_statistics_of_full_size():
    recipe = replace(two_sizes(), network=Strided(normalised=True))
    training, twin = Training(recipe, IMAGES), Training(recipe, IMAGES)
    training.train_epoch()
    twin.model.load_state_dict(training.model.state_dict())
    estimate(twin.model, torch.from_numpy(IMAGES.train) / 255, generator("cpu", 0, 0, STATISTICS))
    for mine, other in zip(training.model.buffers(), twin.model.buffers(), strict=True):
        torch.testing.assert_close(mine, other)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"network": tiny_recipe().network}, "conv networks are built for one: take lite_vae, sd_vae"),
        ({"prior": MixturePrior()}, "the prior mixture is of codes of one"),
        ({"posterior": Mixture(mixture_size=7)}, "the mixture posterior knows codes of one"),
        ({"posterior": Poisson()}, "the poisson posterior knows codes of one"),
    ],
)
def test_parts_for_one_size_are_refused(changes, said):
    with pytest.raises(UserError, match=said):
        replace(two_sizes(), **changes)


@pytest.mark.parametrize(
    ("recipe", "size", "said"),
    [
        (replace(two_sizes(), network=LITE), 24, "also trains on images of 12 px.* Give images of twice such a size"),
        (two_sizes(), 33, "33 px are odd"),
        (two_sizes(adversarial_recipe(Gaussian())), 24, "also trains on images of 12 px.*PatchGAN"),
    ],
)
def test_sizes_whose_half_cannot_be_had_are_refused(recipe, size, said):
    with pytest.raises(UserError, match=said):
        recipe.check_trainable(1, size)


def test_more_epochs_at_half_size_than_there_are_are_refused():
    with pytest.raises(UserError, match="half_size_epochs must be at least 0 and at most the 3 epochs"):
        two_sizes(half_size_epochs=4)
    assert "half_size_epochs" not in tiny_recipe().to_dict()["optimisation"]
