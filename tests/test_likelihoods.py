"""What a wrong pixel costs, against torch's own distributions and the official constants."""

import math

import pytest
import torch

from evae.errors import UserError
from evae.likelihoods import Bernoulli, Laplace, Logistic, SumOfSquares
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


@pytest.mark.parametrize("scale", [0.002, 0.05, 3.0])
@pytest.mark.parametrize("output", [-1.4, -1.0, 0.13, 0.99])
def test_logistic_gives_probabilities_to_256_levels(scale, output):
    levels = (torch.arange(256, dtype=torch.float64) / 255).view(256, 1, 1, 1)
    nats = Logistic(scale=scale).distortions(torch.full_like(levels, output), levels)
    assert float(torch.exp(-nats).sum()) == pytest.approx(1)
    middle = (output + 1) / 2
    at, edge = torch.special.expit, 0.5 / 255
    expected = at((levels + edge - middle) / scale) - at((levels - edge - middle) / scale)
    inner = expected.flatten()[1:-1]
    likely = inner > 1e-12
    torch.testing.assert_close(torch.exp(-nats)[1:-1][likely], inner[likely], rtol=1e-3, atol=0)


def test_a_level_far_from_its_output_costs_a_finite_number():
    x = torch.tensor([0.0, 100 / 255, 1.0]).view(3, 1, 1, 1)
    outputs = torch.tensor([30.0, 30.0, -30.0]).view(3, 1, 1, 1).requires_grad_()
    nats = Logistic(scale=1e-3).distortion(outputs, x)
    assert torch.isfinite(nats) and torch.isfinite(torch.autograd.grad(nats, outputs)[0]).all()


@pytest.mark.parametrize("family", families)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_it_keeps_its_contract(family, check):
    check(families[family]())


def test_images_shown_are_in_0_to_1_and_outputs_beyond_have_a_gradient():
    encoder, decoder = Conv(width=0.1).build(32, 1, 2, 2)
    vae = VAE(Gaussian(), encoder, decoder, code_shape=(2,), likelihood=Laplace())
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
    for likelihood, expected in ((Bernoulli(), True), (Laplace(), False), (Logistic(), True)):
        vae = VAE(Gaussian(), encoder, decoder, code_shape=(2,), likelihood=likelihood)
        assert ("elbo" in vae(x, torch.Generator().manual_seed(0))) == vae.has_elbo == expected


@pytest.mark.parametrize("weight", [0.0, -1.0, math.inf, math.nan])
def test_a_weight_outside_its_range_is_an_error(weight):
    with pytest.raises(UserError, match="weight of the laplace likelihood must be more than 0"):
        Laplace(weight=weight)
    with pytest.raises(UserError, match="scale of the logistic likelihood must be more than 0"):
        Logistic(scale=weight)


def test_sum_of_squares_is_a_gaussian_of_variance_one_half_up_to_its_constant():
    outputs, x = batch(4, 1, 8, 8), torch.sigmoid(batch(4, 1, 8, 8, seed=1))
    gaussian = torch.distributions.Normal(outputs, math.sqrt(0.5))
    nats = -gaussian.log_prob(x).flatten(1).sum(1) - 32 * math.log(math.pi)
    torch.testing.assert_close(SumOfSquares().distortions(outputs, x), nats)
