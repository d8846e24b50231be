"""The conformance suite that every network family inherits."""

import math

import pytest
import torch

from evae.errors import UserError
from evae.networks import Cells, CellsLinear, Conv, Dense, Linear, LiteVae, Mlp, ResNetV2, SdVae, Table
from evae.networks import network as families
from evae.networks.base import NORMALISATIONS
from evae.recipe import Recipe
from evae.testing.networks import CHECKS, built, numbers

SUPPORTED = {
    Cells: (28, 16),
    CellsLinear: (28, 16),
    Conv: (32, 64, 16, 28, 33, 48, 96),
    Dense: (16, 28),
    Linear: (16, 28, 64),
    Mlp: (16, 28),
    ResNetV2: (32, 64, 128, 256, 28, 48, 96),
    SdVae: (16, 48),
    LiteVae: (16, 48),
    Table: (16, 28),
}
CASES = [
    Cells(width=0.2),
    CellsLinear(width=0.2),
    Conv(width=0.25),
    Dense(width=0.2),
    Linear(),
    Table(rows=12, width=0.2),
    Mlp(width=0.05),
    *(ResNetV2(width=0.125, normalisation=kind) for kind in NORMALISATIONS),
    SdVae(width=0.05, decoder_width=0.05),
    LiteVae(size="S", width=0.3, decoder_width=0.05),
    LiteVae(
        **dict(size="S", width=0.3, decoder_width=0.05, downsampling=4, shared=True, finest=False),
        **dict(normalisation="smc", decoder_normalisation="smc", one_by_one=True, wavelet_output=True),
    ),
]
every_family = pytest.mark.parametrize("family", SUPPORTED, ids=lambda cls: cls.family)
with_width = pytest.mark.parametrize(
    "family", [Cells, Conv, Dense, Mlp, ResNetV2, SdVae, LiteVae], ids=lambda cls: cls.family
)
every_case = pytest.mark.parametrize("network", CASES, ids=repr)


def test_every_family_is_registered_under_its_name_and_tested_here():
    assert {cls.family: cls for cls in families.values()} == families
    assert set(SUPPORTED) == {type(network) for network in CASES} == set(families.values())


@every_case
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_it_keeps_its_contract(network, check):
    check(network)


@every_case
@pytest.mark.parametrize("channels", [1, 3])
def test_shapes_of_every_size(network, channels):
    for image_size in SUPPORTED[type(network)]:
        encoder, decoder = built(network, image_size, channels, latent=5, heads=3)
        images = torch.rand(1, channels, image_size, image_size)
        length = numbers(network, image_size, 5)
        assert encoder(images).shape == (1, 3 * length)
        assert decoder(torch.randn(1, length)).shape == images.shape


@pytest.mark.parametrize("family", [Conv, Dense, Mlp, ResNetV2], ids=lambda cls: cls.family)
@pytest.mark.parametrize("width", [0.001, 0.3, 1.0])
def test_any_width(family, width):
    size = SUPPORTED[family][0]
    encoder, decoder = built(family(width=width), size, channels=3)
    images = torch.rand(1, 3, size, size)
    assert decoder(encoder(images)[:, :8]).shape == images.shape


@every_case
def test_a_recipe_brings_it_back(network):
    recipe = Recipe(network=network)
    assert Recipe.from_dict(recipe.to_dict()) == recipe


@every_family
@pytest.mark.parametrize("latent", [0, -3])
def test_a_latent_size_below_one_is_an_error(family, latent):
    with pytest.raises(UserError, match=f"at least 1, not {latent}"):
        family().build(32, 1, latent=latent, heads=2)


@with_width
@pytest.mark.parametrize("width", [0.0, -1.0, math.nan, math.inf])
def test_a_width_that_is_no_width_is_an_error(family, width):
    with pytest.raises(UserError, match="width must be"):
        family(width=width)
