"""What a wrong pixel costs, against torch's own distributions and the official constants."""

import math

import pytest
import torch

from evae.errors import UserError
from evae.likelihoods import Bernoulli, Laplace
from evae.likelihoods import likelihood as families
from evae.models import VAE
from evae.networks import Conv
from evae.posteriors import Gaussian
from evae.testing.likelihoods import CHECKS


def batch(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("size", "channels", "weight"), [(8, 3, 5000.0), (16, 1, 70.0)])
def test_laplace_is_a_likelihood_of_fixed_scale_up_to_its_constant(size, channels, weight):
    outputs, x = batch(4, channels, size, size), torch.sigmoid(batch(4, channels, size, size, seed=1))
    numbers = channels * size**2
    scale = torch.tensor(numbers / weight, dtype=torch.float64)
    log_likelihood = torch.distributions.Laplace(outputs, scale).log_prob(2 * x - 1).flatten(1).sum(1)
    constant = numbers * math.log(2 * scale)
    torch.testing.assert_close(Laplace(weight=weight).distortion(outputs, x), -log_likelihood.mean() - constant)


@pytest.mark.parametrize("size", [8, 32])
def test_laplace_by_default_costs_5000_where_everything_is_wrong_by_1_at_any_size(size):
    x = torch.full((2, 3, size, size), 0.25)
    assert float(Laplace().distortion(2 * x - 1, x)) == 0
    assert float(Laplace().distortion(2 * x, x)) == pytest.approx(5000)


@pytest.mark.parametrize("family", families)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_it_keeps_its_contract(family, check):
    check(families[family]())


def test_images_shown_are_in_0_to_1_and_outputs_beyond_have_a_gradient():
    encoder, decoder = Conv(width=0.1).build(32, 1, 2, 2)
    vae = VAE(Gaussian(), encoder, decoder, latent=2, likelihood=Laplace())
    with torch.no_grad():
        decoder[-1].bias.fill_(1.5)
    shown = vae.sample(2, torch.Generator().manual_seed(0)).detach()
    assert shown.shape == (2, 1, 32, 32) and shown.max() == 1 and shown.min() >= 0
    outputs = torch.tensor([[[[3.0]]]], requires_grad=True)
    vae.likelihood.images(outputs).sum().backward()
    assert float(outputs.grad) == 0.5


def test_only_a_whole_log_likelihood_makes_an_elbo():
    encoder, decoder = Conv(width=0.1).build(32, 1, 2, 2)
    x = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    for likelihood, expected in ((Bernoulli(), True), (Laplace(), False)):
        vae = VAE(Gaussian(), encoder, decoder, latent=2, likelihood=likelihood)
        assert ("elbo" in vae(x, torch.Generator().manual_seed(0))) == vae.has_elbo == expected


@pytest.mark.parametrize("weight", [0.0, -1.0, math.inf, math.nan])
def test_a_weight_outside_its_range_is_an_error(weight):
    with pytest.raises(UserError, match="weight of the laplace likelihood must be more than 0"):
        Laplace(weight=weight)
