"""The conformance suite that every network family inherits."""

import math

import pytest
import torch

from evae.errors import UserError
from evae.models import build_model
from evae.networks import Conv, Network, ResNetV2
from evae.networks import network as families
from evae.networks.base import NORMALISATIONS
from evae.posteriors import Gaussian
from evae.recipe import Recipe

SUPPORTED = {Conv: (32, 64), ResNetV2: (32, 64, 128, 256)}
CASES = [Conv(width=0.25), *(ResNetV2(width=0.125, normalisation=kind) for kind in NORMALISATIONS)]
every_family = pytest.mark.parametrize("family", SUPPORTED, ids=lambda cls: cls.family)
every_case = pytest.mark.parametrize("network", CASES, ids=repr)


def built(network: Network, image_size: int, channels: int = 1, latent: int = 8, heads: int = 2):
    """Encoder and decoder in evaluation mode."""
    return tuple(part.eval() for part in network.build(image_size, channels, latent, heads))


def test_every_family_is_registered_under_its_name_and_tested_here():
    assert {cls.family: cls for cls in families.values()} == families
    assert set(SUPPORTED) == {type(network) for network in CASES} == set(families.values())


@every_case
@pytest.mark.parametrize("channels", [1, 3])
def test_shapes(network, channels):
    sizes = SUPPORTED[type(network)]
    for image_size, latent, heads in [*((size, 5, 3) for size in sizes), (32, 1, 1), (32, 16, 2)]:
        encoder, decoder = built(network, image_size, channels, latent, heads)
        images = torch.rand(1, channels, image_size, image_size)
        assert encoder(images).shape == (1, heads * latent)
        assert decoder(torch.randn(1, latent)).shape == images.shape


@every_family
@pytest.mark.parametrize("width", [0.001, 0.3, 1.0])
def test_any_width(family, width):
    encoder, decoder = built(family(width=width), 32, channels=3)
    images = torch.rand(1, 3, 32, 32)
    assert decoder(encoder(images)[:, :8]).shape == images.shape


@every_case
def test_every_pixel_of_the_output_depends_on_the_code_and_every_pixel_of_the_input_reaches_it(network):
    for image_size in SUPPORTED[type(network)][:2]:
        encoder, decoder = built(network, image_size)
        images = torch.rand(1, 1, image_size, image_size, requires_grad=True)
        (gradient,) = torch.autograd.grad(encoder(images).square().sum(), images)
        assert gradient.count_nonzero() == gradient.numel()
        moved = decoder(torch.ones(1, 8)) - decoder(torch.zeros(1, 8))
        assert moved.count_nonzero() == moved.numel()


@every_case
@pytest.mark.parametrize("channels", [1, 3])
def test_the_loss_reaches_every_parameter(network, channels):
    """A parameter without a gradient would make distributed training wait for it. A bias may have one of zero, where
    BatchNorm takes it away."""
    model = build_model(Gaussian(), network, 32, channels, 8, seed=0).train()
    model(torch.rand(4, channels, 32, 32), torch.Generator().manual_seed(0))["loss"].backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []
    assert [name for name, p in model.named_parameters() if "bias" not in name and not p.grad.any()] == []


@every_case
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(network):
    same, again, other = (build_model(Gaussian(), network, 32, 1, 8, seed=seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(value, again[name]) for name, value in same.items())
    assert any(not torch.equal(value, other[name]) for name, value in same.items())


@every_case
def test_a_recipe_brings_it_back(network):
    recipe = Recipe(network=network)
    assert Recipe.from_dict(recipe.to_dict()) == recipe


@every_case
def test_an_image_means_the_same_alone_as_among_others_in_evaluation(network):
    encoder, decoder = built(network, 32)
    images = torch.rand(3, 1, 32, 32)
    heads = encoder(images)
    torch.testing.assert_close(encoder(images[:1]), heads[:1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(decoder(heads[:1, :8]), decoder(heads[:, :8])[:1], rtol=1e-4, atol=1e-5)


@every_family
@pytest.mark.parametrize("latent", [0, -3])
def test_a_latent_size_below_one_is_an_error(family, latent):
    with pytest.raises(UserError, match=f"at least 1, not {latent}"):
        family().build(32, 1, latent=latent, heads=2)


@every_family
@pytest.mark.parametrize("width", [0.0, -1.0, math.nan, math.inf])
def test_a_width_that_is_no_width_is_an_error(family, width):
    with pytest.raises(UserError, match="width must be"):
        family(width=width)
