"""The paper's networks: sizes, shapes and what they refuse."""

import math

import pytest
import torch
from torch import nn

from evae.errors import UserError
from evae.networks import FAMILIES, SIZES, Conv

SUPPORTED = (32, 64)


def count(*modules: nn.Module) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def test_families_are_registered_under_their_names():
    assert {cls.family: cls for cls in FAMILIES.values()} == FAMILIES


@pytest.mark.parametrize(
    ("image_size", "channels", "parameters"), [(32, 1, 1_428_929), (32, 3, 1_430_979), (64, 3, 10_811_011)]
)
def test_parameters_of_the_papers_networks(image_size, channels, parameters):
    assert count(*Conv().build(image_size, channels, latent=64, heads=2)) == parameters


@pytest.mark.parametrize("image_size", SUPPORTED)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("width", [0.01, 0.3, 1.0])
def test_shapes(image_size, channels, width):
    encoder, decoder = Conv(width=width).build(image_size, channels, latent=5, heads=3)
    encoder.eval(), decoder.eval()
    images = torch.rand(2, channels, image_size, image_size)
    assert encoder(images).shape == (2, 15)
    assert decoder(torch.randn(2, 5)).shape == images.shape


@pytest.mark.parametrize("image_size", SUPPORTED)
def test_every_pixel_of_the_output_depends_on_the_code_and_every_pixel_of_the_input_reaches_it(image_size):
    encoder, decoder = (part.eval() for part in Conv(width=0.25).build(image_size, 1, latent=8, heads=1))
    images = torch.rand(1, 1, image_size, image_size, requires_grad=True)
    (gradient,) = torch.autograd.grad(encoder(images).sum(), images)
    assert gradient.count_nonzero() == gradient.numel()
    moved = decoder(torch.ones(1, 8)) - decoder(torch.zeros(1, 8))
    assert moved.count_nonzero() == moved.numel()


def test_the_sizes_multiply_the_channels():
    def channels(width: float) -> list[int]:
        modules = Conv(width=width).build(32, 1, latent=4, heads=2)[0].modules()
        return [module.out_channels for module in modules if isinstance(module, nn.Conv2d)]

    assert {name: channels(width) for name, width in SIZES.items()} == {
        "tiny": [8, 16, 32, 64],
        "small": [16, 32, 64, 128],
        "paper": [32, 64, 128, 256],
        "large": [64, 128, 256, 512],
    }


@pytest.mark.parametrize(("image_size", "advised"), [(28, 32), (0, 32), (48, 32), (128, 64)])
def test_an_unsupported_image_size_is_an_error_that_lists_the_supported_ones(image_size, advised):
    with pytest.raises(UserError, match=f"Supported: 32, 64. Use image_size {advised}"):
        Conv().build(image_size, 1, latent=4, heads=2)


@pytest.mark.parametrize("latent", [0, -3])
def test_a_latent_size_below_one_is_an_error(latent):
    with pytest.raises(UserError, match=f"at least 1, not {latent}"):
        Conv().build(32, 1, latent=latent, heads=2)


@pytest.mark.parametrize("width", [0.0, -1.0, math.nan, math.inf])
def test_a_width_that_is_no_width_is_an_error(width):
    with pytest.raises(UserError, match="width must be"):
        Conv(width=width)
