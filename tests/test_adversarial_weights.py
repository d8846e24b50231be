"""How much an adversarial loss counts and from which step, and a U-Net discriminator in training."""

from dataclasses import replace

import pytest
import torch
from tiny import adversarial_recipe, tiny_images

from evae.adversarial import Adversarial
from evae.checkpoints import dump_training, restore_training
from evae.criteria import L1, MMD
from evae.errors import UserError
from evae.networks import PatchGan, UNetDiscriminator
from evae.recipe import Recipe
from evae.study.balance import balance
from evae.training import Training

IMAGES = tiny_images()
CLOCKS = ("train_s", "images_per_s")


def recipe(unet: bool = True, **adversarial) -> Recipe:
    given = adversarial_recipe(**{"weight": 2.0, **adversarial})
    judge = UNetDiscriminator(channels=1) if unet else given.adversarial.discriminator
    return replace(given, adversarial=replace(given.adversarial, discriminator=judge))


def epoch(training: Training) -> dict:
    return {name: value for name, value in training.train_epoch().items() if name not in CLOCKS}


def test_a_recipe_names_its_discriminator_but_for_that_of_older_ones():
    for given in (recipe(), recipe(unet=False)):
        assert Recipe.from_dict(given.to_dict()) == given
    assert recipe().to_dict()["adversarial"]["discriminator"] == {"family": "unet", "channels": 1}
    assert "family" not in recipe(unet=False).to_dict()["adversarial"]["discriminator"]
    older = {"width": 0.5, "normalisation": "affine", "dropout": 0.0}
    found = Recipe.from_dict({"adversarial": {"discriminator": older}}).adversarial.discriminator
    assert found == PatchGan(width=0.5)


@pytest.mark.parametrize(("loss", "weighting"), [("logistic", "constant"), ("hinge", "adaptive")])
def test_a_training_with_a_unet_that_was_stopped_goes_on_as_if_it_had_not_been(loss, weighting):
    given = recipe(loss=loss, weighting=weighting)
    whole, resumed = Training(given, IMAGES), Training(given, IMAGES)
    first = epoch(whole)
    assert 0 < first["train_disc_accuracy"] < 1
    restore_training(resumed, dump_training(whole))
    assert epoch(whole) == epoch(resumed)
    mine, other = (each.adversary.module.state_dict() for each in (whole, resumed))
    assert all(torch.equal(value, other[name]) for name, value in mine.items())
    assert any("left" in name for name in mine)


def test_an_adaptive_weight_is_the_ratio_of_the_gradients_at_the_decoders_last_weights():
    given = replace(recipe(weighting="adaptive"), criteria=(L1(weight=3.0), MMD(weight=100.0)))
    training = Training(given, IMAGES)
    model, judge = training.trained, training.adversary
    x = torch.from_numpy(IMAGES.train[:6]).float() / 255
    terms = model(x, torch.Generator().manual_seed(0), judge=judge.judge)
    share = training.ranks.share(6)
    last = [p for p in model.decoder.parameters() if p.ndim > 1][-1]
    compared = terms["distortion"] + 3 * terms["l1"]
    one, other = (torch.autograd.grad(t, last, retain_graph=True)[0].norm() for t in (compared, terms["adversarial"]))
    expected = float(2.0 * one / (other + 1e-4))
    assert float(judge.weight(2.0, terms, share, model)) == pytest.approx(min(expected, 2e4), rel=1e-4)
    row = epoch(training)
    assert row["train_adversarial_weight"] > 0
    later = replace(given, adversarial=replace(given.adversarial, start_step=8, start_epoch=3))
    assert "adversarial" in balance(later, IMAGES)


def test_a_weight_per_number_grows_with_the_image():
    row = epoch(Training(recipe(weighting="per_number"), IMAGES))
    assert row["train_adversarial_weight"] == 2 * 32 * 32
    assert epoch(Training(recipe(weight=0.1), IMAGES))["train_adversarial_weight"] == 0.1


def test_a_discriminator_starts_after_so_many_steps():
    """Three steps an epoch: it takes part in the last one of the first, whose images alone its means are of."""
    without, later = (Training(replace(recipe(start_step=2), **part), IMAGES) for part in ({"adversarial": None}, {}))
    first, other = epoch(later), epoch(without)
    assert first["train_distortion_nats"] == other["train_distortion_nats"]
    assert {"train_discriminator", "train_adversarial_weight"} <= first.keys() - other.keys()
    assert 0 <= first["train_disc_accuracy"] <= 1 and first["train_discriminator"] > 0.5
    assert epoch(later)["train_distortion_nats"] != epoch(without)["train_distortion_nats"]
    none = epoch(Training(recipe(start_step=3), IMAGES))
    assert "train_adversarial" not in none and "train_adversarial_weight" not in none


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: Adversarial(weighting="often"), "unknown weighting of the adversarial loss 'often'"),
        (lambda: Adversarial(start_step=-1), "start_step must be at least 0"),
        (lambda: Training(recipe(start_step=9), IMAGES), "starts after 9 steps, but the training has only 9 .3 epochs"),
        (lambda: recipe().adversarial.discriminator.check(28), "multiples of 8 pixels, from 32 on"),
    ],
)
def test_what_cannot_be_is_refused(make, named):
    with pytest.raises(UserError, match=named):
        make()
