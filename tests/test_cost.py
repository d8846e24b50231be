"""What a model costs: exact counts, memory of tensors that live, and that taking it touches nothing."""

import math
from dataclasses import replace

import pytest
import torch
from tiny import adversarial_recipe, tiny_images, tiny_recipe

from evae import cost
from evae.evaluation import evaluate
from evae.live_tensors import LiveTensors
from evae.metrics.cost import EXACT, MEASURED
from evae.metrics.features import load_features
from evae.metrics.reference import reference
from evae.models import build_model
from evae.networks.linear import Linear
from evae.recipe import Evaluation
from evae.training import Training


def test_parameters_and_multiplications_of_linear_networks():
    """The encoder is a matrix of heads by pixels with a bias, the decoder one of pixels by latents."""
    recipe = replace(tiny_recipe(), network=Linear())
    found = cost.exact(recipe, 32, 1)
    heads, pixels = recipe.posterior.heads * recipe.latent, 32 * 32
    assert found["encoder_macs"] == heads * pixels and found["decoder_macs"] == recipe.latent * pixels
    built = build_model(recipe.posterior, recipe.network, 32, 1, recipe.latent, seed=0)
    assert found["encoder_parameters"] == sum(p.numel() for p in built.encoder.parameters())
    assert found["parameters"] == found["encoder_parameters"] + found["decoder_parameters"]
    assert cost.exact(recipe, 32, 1, ["parameters"]).keys() == {
        "parameters",
        "encoder_parameters",
        "decoder_parameters",
    }


def test_live_tensors_counts_a_storage_until_its_last_view_is_gone():
    before = torch.zeros(500)
    with LiveTensors() as live:
        one = torch.zeros(1000)
        view = one.view(10, 100)
        assert live.now == 4000
        before.add_(1)  # what was there before, changed in its place
        other = view + 1
        del one
        assert live.now == 8000
        del view
        assert live.now == 4000
        del other
    assert (live.now, live.peak) == (0, 8000)


def test_live_tensors_counts_what_is_kept_for_gradients():
    weight, x = torch.randn(100, 100, requires_grad=True), torch.randn(50, 100)
    with LiveTensors() as live:
        (x @ weight).relu().square().sum().backward()
        after = live.now
    assert after == weight.grad.nbytes
    assert live.peak >= weight.grad.nbytes + 2 * 50 * 100 * 4
    with LiveTensors() as forward, torch.no_grad():
        (x @ weight).relu().square().sum()
    assert forward.peak < live.peak


@pytest.mark.parametrize("recipe", [tiny_recipe(), adversarial_recipe()], ids=["VAE", "adversarial"])
def test_costs_of_a_training_leave_it_as_it_was(recipe):
    training = Training(recipe, tiny_images(), "cpu")
    training.train_epoch()
    before = {name: value.clone() for name, value in training.model.state_dict().items()}
    random = torch.random.get_rng_state()
    found = cost.measured(training)
    assert {*EXACT, *MEASURED, "memory_is"} == found.keys() and found["memory_is"] == "live tensors"
    assert all(math.isfinite(found[name]) and found[name] > 0 for name in (*EXACT, *MEASURED))
    assert {name: found[name] for name in EXACT} == cost.exact(recipe, 32, 1)
    # A step holds the weights, their gradients and Adam's two moments, and what it keeps for gradients.
    assert found["step_memory_mb"] > 4 * 4 * found["parameters"] / 1e6
    assert found["encode_memory_mb"] > (4 * found["encoder_parameters"] + 32 * 4 * 1024) / 1e6
    assert torch.equal(random, torch.random.get_rng_state()) and training.epoch == 1
    assert all(torch.equal(before[name], value) for name, value in training.model.state_dict().items())
    assert cost.measured(training)["step_memory_mb"] == pytest.approx(found["step_memory_mb"], rel=0.01)


def test_a_larger_batch_needs_more_memory_for_a_step_and_none_for_an_encoding():
    few, many = (cost.measured(Training(tiny_recipe(batch_size=batch), tiny_images(), "cpu")) for batch in (2, 24))
    assert many["step_memory_mb"] > 1.5 * few["step_memory_mb"]
    assert many["encode_memory_mb"] == pytest.approx(few["encode_memory_mb"], rel=0.01)


def test_an_evaluation_measures_costs_where_the_recipe_says_so():
    images = tiny_images(24, 4, 4)
    for wanted in (True, False):
        recipe = replace(
            tiny_recipe(), evaluation=Evaluation(features="efficientnet-lite0-b2", densities=(), cost=wanted)
        )
        training = Training(recipe, images)
        features = load_features("efficientnet-lite0-b2")
        known = {"test": reference(images.test, images.train, features, cache=None)}
        found = evaluate(training, features, known, pictures=False).metrics
        assert {name in found for name in (*EXACT, *MEASURED)} == {wanted}
