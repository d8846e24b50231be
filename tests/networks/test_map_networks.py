"""LiteVAE and the Stable Diffusion VAE: the published numbers of parameters, shapes, and what they refuse."""

import pytest
import torch
from counts import parameters
from torch import nn

from evae.errors import UserError
from evae.models import build_model
from evae.networks import LiteVae, SdVae
from evae.networks.blocks import group_norm
from evae.networks.layers import recompute
from evae.networks.lite_encoder import FlatUNet
from evae.networks.self_modulated import SelfModulated
from evae.posteriors import Gaussian

MICRO = {"width": 1 / 16, "decoder_width": 1 / 16}


def counted(network, channels: int = 3, latent: int = 4) -> tuple[int, int]:
    """Of encoder and decoder."""
    with torch.device("meta"):
        encoder, decoder = network.build(256, channels, latent, heads=2)
    return parameters(encoder), parameters(decoder)


@pytest.mark.parametrize(("size", "count"), [("S", 1_038_308), ("B", 6_753_252), ("M", 32_752_740), ("L", 41_424_996)])
def test_parameters_of_the_papers_encoders(size, count):
    """With three extractors and a 3x3 convolution in each of two downsamplers; the decoder is the baseline's."""
    assert counted(LiteVae.of_size(size)) == (count, 49_490_179)


def test_parameters_of_the_stable_diffusion_vae():
    """With 1x1 convolutions around the code, 83,653,863 in all."""
    assert counted(SdVae()) == (34_163_592, 49_490_179)
    assert sum(counted(SdVae(one_by_one=True))) == 83_653_863


def test_a_narrow_encoder_is_as_small_as_lite_vaes():
    assert counted(SdVae(width=0.445))[0] == pytest.approx(counted(LiteVae())[0], rel=0.01)


def test_ablations_leave_out_what_they_say():
    with torch.device("meta"):
        extractor, aggregator = (parameters(FlatUNet(*ends, (32, 64, 96), "group")) for ends in ((12, 12), (36, 8)))
    assert round(aggregator / 1e6, 2) == 1.69  # paper, table 20
    whole = counted(LiteVae())[0]
    assert whole - counted(LiteVae(shared=True))[0] == 2 * extractor
    # Beside an extractor and a downsampler, the first convolution of the aggregator sees 12 channels less.
    assert whole - counted(LiteVae(finest=False))[0] == extractor + (12 * 12 * 9 + 12) + 12 * 32 * 9
    assert counted(LiteVae(one_by_one=True))[0] - whole == 8 * 8 + 8


@pytest.mark.parametrize("network", [SdVae(**MICRO), LiteVae(size="S", width=0.25, decoder_width=1 / 16)])
@pytest.mark.parametrize("downsampling", [4, 8, 16])
def test_sides_are_divided_by_the_downsampling(network, downsampling):
    network = type(network)(**{**network.__dict__, "downsampling": downsampling})
    encoder, decoder = network.build(64, 3, latent=5, heads=2)
    side = 64 // downsampling
    assert network.code_shape(64, 5) == (5, side, side)
    # Of any height and width, before they are vectors.
    assert encoder[:-1](torch.rand(1, 3, 32, 48)).shape == (1, 10, 32 // downsampling, 48 // downsampling)
    maps = decoder[1:](torch.rand(1, 5, 2, 3))
    assert maps.shape == (1, 3, 2 * downsampling, 3 * downsampling)
    # Half the size, by the same modules.
    small = torch.rand(1, 3, 32, 32)
    assert decoder(encoder(small)[:, : 5 * (side // 2) ** 2]).shape == small.shape


def test_heads_are_one_after_the_other_and_channels_in_order():
    network = SdVae(**MICRO)
    model = build_model(Gaussian(), network, 16, 1, 3, seed=0).eval()
    assert model.code_shape == (3, 2, 2) and model.latent == 12
    x = torch.rand(2, 1, 16, 16)
    maps = model.encoder[:-1](x)
    codes = model.posterior.mean(model.encode(x)).unflatten(1, model.code_shape)
    torch.testing.assert_close(codes, maps[:, :3])
    torch.testing.assert_close(model.decoder[0](codes.flatten(1)), codes)


def test_self_modulated_rows_have_the_length_of_the_gain():
    layer = SelfModulated(6, 5)
    nn.init.normal_(layer.scales)
    nn.init.constant_(layer.gain, 1.7)
    torch.testing.assert_close(layer.modulated().flatten(1).norm(dim=1), torch.full((5,), 1.7))
    x = torch.rand(1, 6, 4, 4)
    before = layer(x)
    with torch.no_grad():
        layer.scales *= 3
    torch.testing.assert_close(layer(x), before)


@pytest.mark.parametrize("width", [0.001, 0.03])
@pytest.mark.parametrize("family", [SdVae, LiteVae])
def test_any_width(family, width):
    encoder, decoder = family.of_width(width).build(16, 1, latent=2, heads=2)
    x = torch.rand(1, 1, 16, 16)
    assert decoder(encoder(x)[:, :8]).shape == x.shape


@pytest.mark.parametrize(("channels", "groups"), [(8, 8), (16, 16), (36, 18), (48, 24), (57, 19), (512, 32)])
def test_groups_divide_the_channels(channels, groups):
    assert group_norm(channels).num_groups == groups


def test_wavelet_output_is_an_inverse_transform():
    """Of a constant low band, of which all else is 0, an image of that value."""
    network = LiteVae(size="S", width=0.25, decoder_width=1 / 16, wavelet_output=True)
    decoder = network.build(16, 3, latent=2, heads=2)[1]
    bands = torch.zeros(1, 12, 8, 8)
    bands[:, :3] = 0.3
    torch.testing.assert_close(decoder[-1](bands), torch.full((1, 3, 16, 16), 0.3))


def test_recomputed_blocks_yield_the_same_numbers():
    gradients = []
    for recomputed in (False, True):
        model = build_model(Gaussian(), SdVae(width=1 / 32, decoder_width=1 / 32), 16, 1, 2, seed=0).train()
        assert recompute(model, recomputed) == 2 * 4 + 3 + 3 + 3 * 4
        model(torch.linspace(0, 1, 256).view(1, 1, 16, 16), torch.Generator().manual_seed(0))["loss"].backward()
        gradients.append([p.grad for p in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


@pytest.mark.parametrize(
    ("network", "image_size", "near"),
    [(SdVae(), 50, "48 or 56"), (LiteVae(), 0, "16"), (LiteVae(downsampling=16), 72, "64 or 80"), (SdVae(), 8, "16")],
)
def test_a_side_that_is_no_multiple_is_an_error_with_the_nearest_that_are(network, image_size, near):
    with pytest.raises(UserError, match=f"Use image_size {near}"):
        network.check(image_size, 4)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"normalisation": "batch"}, "normalisation"),
        ({"decoder_normalisation": "grup"}, "group"),
        ({"downsampling": 7}, "downsampling"),
        ({"decoder_width": 0.0}, "width must be"),
        ({"size": "XL"}, "size of LiteVAE"),
    ],
)
def test_what_there_is_not_is_an_error(given, said):
    with pytest.raises(UserError, match=said):
        LiteVae(**given)
