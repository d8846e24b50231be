"""The official MoG-VAE's networks: sizes, normalisation, and what they refuse."""

import math
from itertools import pairwise

import pytest
import torch
from counts import parameters, statistics
from torch import nn

from evae.errors import UserError
from evae.networks import SIZES, ResNetV2
from evae.networks.base import NORMALISATIONS
from evae.networks.layers import Affine

HEADS = 2 * (1024 * 512 + 512)  # Two dense layers from 1,024 numbers to 512 latents.


def test_parameters_of_the_official_networks():
    """Keras counts BatchNorm's statistics, and had not built the layers of the two heads when it was asked."""
    encoder, decoder = ResNetV2(normalisation="batch").build(256, 3, latent=512, heads=2)
    assert parameters(encoder) + statistics(encoder) == 5_882_944 + HEADS
    assert parameters(decoder) + statistics(decoder) == 4_049_522
    assert parameters(encoder, decoder) + statistics(encoder, decoder) == 9_932_466 + 1_049_600


@pytest.mark.parametrize("kind", NORMALISATIONS)
def test_every_normalisation_has_the_same_trained_parameters_and_only_batch_has_statistics(kind):
    networks = ResNetV2(normalisation=kind).build(256, 3, latent=512, heads=2)
    assert parameters(*networks) == 9_932_466 + 1_049_600 - 15_360 - 8_966
    assert statistics(*networks) == (15_360 + 8_966 if kind == "batch" else 0)


def test_the_sizes_multiply_the_channels():
    encoders = {name: ResNetV2(width=width).build(32, 1, latent=4, heads=2)[0] for name, width in SIZES.items()}
    channels = {name: encoder[2].out_channels for name, encoder in encoders.items()}
    assert channels == {"tiny": 32, "small": 64, "paper": 128, "large": 256}


@pytest.mark.parametrize("image_size", [32, 64, 128, 256])
def test_depth_follows_from_the_image_size(image_size):
    """Between code and image every stage halves the side, down to maps of 4 px."""
    encoder, _ = ResNetV2(width=0.01).build(image_size, 1, latent=9, heads=2)
    sides, x = [], torch.rand(1, 1, image_size, image_size)
    for layer in encoder:
        x = layer(x)
        sides += [x.shape[-1]] if x.dim() == 4 else []
    assert all(after in (before, before // 2) for before, after in pairwise(sides)) and sides[-1] == 4
    assert len(encoder) == 3 + 3 * (image_size.bit_length() - 3) + 3


def test_the_maps_at_the_code_have_a_channel_for_eight_latents_rounded_up():
    for latent, thin in {1: 1, 8: 1, 9: 2, 512: 64}.items():
        encoder, decoder = ResNetV2(width=0.01).build(32, 1, latent=latent, heads=2)
        assert (encoder[-1].in_features, decoder[0].out_features) == (16 * thin, 16 * thin)


@pytest.mark.parametrize("kind", ["affine", "group"])
def test_without_the_batchs_statistics_training_and_evaluation_are_the_same_function(kind):
    encoder, decoder = ResNetV2(width=0.1, normalisation=kind).build(32, 1, latent=4, heads=2)
    images = torch.rand(3, 1, 32, 32)
    results = [decoder(encoder.train(mode)(images)[:, :4]) for mode in (True, False) if decoder.train(mode)]
    assert torch.equal(*results)


def test_the_encoder_does_not_see_brightness_and_contrast_of_a_channel():
    """What the LayerNorm over the pixels takes away, as in the official code."""
    encoder, _ = ResNetV2(width=0.1, normalisation="affine").build(32, 3, latent=4, heads=2)
    images = torch.rand(2, 3, 32, 32)
    changed = torch.tensor([0.9, 0.7, 0.8])[:, None, None] * images + torch.tensor([0.0, 0.2, 0.1])[:, None, None]
    torch.testing.assert_close(encoder(changed), encoder(images), rtol=0.02, atol=0.02)
    assert (encoder(images.flip(-1)) - encoder(images)).abs().max() > 0.2


def test_affine_is_scale_and_shift_alone():
    layer = Affine(2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([2.0, -3.0])[:, None, None])
        layer.bias.copy_(torch.tensor([0.5, 1.0])[:, None, None])
    x = 100 * torch.randn(4, 2, 3, 3)
    torch.testing.assert_close(layer(x), torch.stack([2 * x[:, 0] + 0.5, 1 - 3 * x[:, 1]], 1))
    assert Affine(2)(x).equal(x)


def test_affine_is_untouched_batchnorm_in_inference_mode():
    """The official code's networks, with weights in common: but for a factor of 1 / sqrt(1 + eps) a layer."""
    ours, official = (ResNetV2(width=0.1, normalisation=k).build(32, 3, latent=8, heads=2) for k in ("affine", "batch"))
    images = torch.rand(2, 3, 32, 32)
    for part, twin, given in zip(ours, official, (images, torch.randn(2, 8)), strict=True):
        for to, of in zip(part.parameters(), twin.parameters(), strict=True):
            to.data.copy_(of.data.view_as(to))
        for layer in twin.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.eps = 0.0
        torch.testing.assert_close(part(given), twin.eval()(given))


def test_under_autocast_the_maps_stay_in_bf16():
    with torch.autocast("cpu", torch.bfloat16):
        assert Affine(2)(torch.rand(1, 2, 4, 4, dtype=torch.bfloat16)).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("image_size", "maps"), [(28, (7, 7)), (48, (6, 6)), (96, (6, 6)), (100, (25, 25)), ((48, 64), (6, 8)), (8, (4, 4))]
)
def test_sides_are_halved_as_long_as_both_are_even(image_size, maps):
    encoder, decoder = ResNetV2(width=0.01).build(image_size, 1, latent=9, heads=2)
    assert encoder[-1].in_features == 2 * math.prod(maps) and decoder[1].unflattened_size == (2, *maps)


@pytest.mark.parametrize(
    ("image_size", "advised"), [(0, 8), (30, "28 or 32"), ((32, 50), "48 or 52 in the place of 50")]
)
def test_an_unsupported_image_size_is_an_error_that_names_the_nearest(image_size, advised):
    with pytest.raises(UserError, match=f"resnet_v2 .* multiples of 4 pixels, from 8 on.* Use image_size {advised}"):
        ResNetV2().build(image_size, 1, latent=4, heads=2)


def test_an_unknown_normalisation_is_an_error_that_suggests_the_nearest():
    with pytest.raises(UserError, match="Did you mean 'batch'"):
        ResNetV2(normalisation="bacth")
