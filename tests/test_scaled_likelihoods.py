"""Likelihoods with one scale, given, learned or set: values, and a training that keeps what it learns."""

import math
from dataclasses import replace

import pytest
import torch
from tiny import tiny_images, tiny_recipe
from torch.distributions import Laplace, Normal

from evae.checkpoints import dump_model, dump_training, load_model, restore_training
from evae.errors import UserError
from evae.likelihoods import Gaussian, Scaled, ScaledLaplace
from evae.recipe import Recipe
from evae.testing.likelihoods import CHECKS, made
from evae.training import Training

LEARNED = (Gaussian(scale=0.3, learn_scale=True), ScaledLaplace(scale=0.3))


def batch(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("scale", [0.02, 3.0])
@pytest.mark.parametrize("shape", [(4, 3, 5, 6), (7, 2)])
def test_they_are_log_densities_of_the_data_in_nats(scale, shape):
    outputs, x = batch(*shape), batch(*shape, seed=1)
    gaussian = -Normal(outputs, scale).log_prob(x).flatten(1).sum(1)
    torch.testing.assert_close(Gaussian(scale=scale).distortion(outputs, x), gaussian.mean())
    if len(shape) == 4:
        laplace = -Laplace((outputs + 1) / 2, scale).log_prob(x).flatten(1).sum(1)
        for likelihood in (ScaledLaplace(scale=scale, learn_scale=False), made(ScaledLaplace(scale=scale))):
            torch.testing.assert_close(likelihood.distortions(outputs, x), laplace, rtol=1e-6, atol=0)


@pytest.mark.parametrize("likelihood", LEARNED, ids=lambda given: given.family)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_learned_scale_keeps_the_contract(likelihood, check):
    check(likelihood)


@pytest.mark.parametrize("likelihood", LEARNED, ids=lambda given: given.family)
def test_the_best_scale_is_where_the_gradient_in_the_scale_vanishes(likelihood):
    outputs, x = batch(5, 1, 4, 4), batch(5, 1, 4, 4, seed=1)
    bound = made(likelihood)
    bound.learned.double()
    bound.set_scale(bound.best_scale(outputs, x))
    (slope,) = torch.autograd.grad(bound.distortion(outputs, x), bound.learned["log_scale"])
    assert abs(float(slope)) < 1e-9
    assert bound.shown()["scale"] == pytest.approx(float(bound.best_scale(outputs, x)))


def test_a_scale_of_one_half_on_0_to_1_is_that_which_kl_f8_begins_with_but_for_constants():
    """e^s = 1 on [-1, 1] (papers: Rombach et al., official code)."""
    outputs, x = batch(3, 3, 8, 8), torch.sigmoid(batch(3, 3, 8, 8, seed=1))
    theirs = (outputs - (2 * x - 1)).abs().sum() / 3
    ours = made(ScaledLaplace()).distortion(outputs, x)
    torch.testing.assert_close(ours, theirs + 3 * 64 * math.log(2 * 0.5))


def recipe(likelihood: Scaled) -> Recipe:
    return replace(tiny_recipe(ema=0.9), likelihood=likelihood)


@pytest.mark.parametrize("likelihood", LEARNED, ids=lambda given: given.family)
def test_the_scale_is_trained_averaged_resumed_and_kept(likelihood, tmp_path):
    whole, resumed = (Training(recipe(likelihood), tiny_images()) for _ in range(2))
    first = whole.train_epoch()
    restore_training(resumed, dump_training(whole))
    last = [training.train_epoch() | training.validate() for training in (whole, resumed)]
    scales = [each["likelihood_scale"] for each in (first, *last)]
    assert scales[1] == scales[2] != scales[0] != 0.3
    assert last[0]["val_elbo_nats"] == last[1]["val_elbo_nats"]
    # The mean weights are those that are measured.
    assert whole.model.likelihood.learned is whole.model.learned_likelihood is not whole.trained.learned_likelihood
    path = tmp_path / "weights.safetensors"
    path.write_bytes(dump_model(whole.model, whole.recipe, 32, 1))
    assert load_model(str(path)).likelihood.shown() == {"scale": scales[1]}


def test_a_given_scale_is_no_parameter_and_no_column():
    training = Training(recipe(Gaussian()), tiny_images())
    assert "likelihood_scale" not in training.train_epoch()
    assert not any("likelihood" in name for name in training.model.state_dict())
    with pytest.raises(UserError, match="the scale of this gaussian likelihood is given: set learn_scale"):
        training.model.likelihood.set_scale(1.0)


@pytest.mark.parametrize("scale", [0.0, -1.0, math.inf, math.nan])
def test_a_scale_outside_its_range_is_an_error(scale):
    for family in (Gaussian, ScaledLaplace):
        with pytest.raises(UserError, match="must be more than 0"):
            family(scale=scale)
    bound = made(LEARNED[0])
    with pytest.raises(UserError, match="must be more than 0"):
        bound.set_scale(scale)
