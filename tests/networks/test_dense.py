"""The Poisson VAE's dense networks: the authors' numbers of parameters, and what they refuse."""

import pytest
import torch
from counts import parameters

from evae.errors import UserError
from evae.models import build_model
from evae.networks import Linear, Mlp
from evae.posteriors import Gaussian, Poisson


@pytest.mark.parametrize(
    ("posterior", "image_size", "count"),
    [
        (Poisson(), 28, 803_328),
        (Gaussian(), 28, 1_204_224),
        (Poisson(), 16, 262_656),
        (Gaussian(), 16, 393_216),
    ],
)
def test_parameters_of_the_linear_models(posterior, image_size, count):
    """The prior's log-rates among them."""
    with torch.device("meta"):
        assert parameters(build_model(posterior, Linear(), image_size, 1, 512, seed=0)) == count


def test_the_linear_networks_are_linear():
    model = build_model(Poisson(), Linear(), 8, 3, 5, seed=0)
    x, z = torch.rand(2, 3, 8, 8), torch.rand(2, 5)
    torch.testing.assert_close(model.encoder(2 * x), 2 * model.encoder(x))
    torch.testing.assert_close(model.decoder(z).sum(0), model.decoder(z.sum(0, keepdim=True))[0])
    weights = torch.cat([p.flatten() for p in [*model.encoder.parameters(), *model.decoder.parameters()]])
    assert float(weights.detach().std()) == pytest.approx(0.05, rel=0.1)


def test_parameters_of_dense_networks():
    with torch.device("meta"):
        encoder, decoder = Mlp().build(16, 1, latent=10, heads=1)
    block = {times: 2 * times * 256**2 + times * 256 + 256 + 2 * 256 for times in (16, 8)}
    assert parameters(encoder) == block[16] + 256 * 10 + 10
    assert parameters(decoder) == 10 * 256 + 256 + block[8] + 256**2 + 256


def test_images_of_too_many_numbers_are_an_error():
    with pytest.raises(UserError, match=r"million weights for images of 3 x 32 x 32: .*conv or linear"):
        Mlp().build(32, 3, latent=4, heads=2)
    with torch.device("meta"):
        Linear().build(64, 3, latent=512, heads=2)
