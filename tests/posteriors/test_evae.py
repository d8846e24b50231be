"""The EVAE's posterior, rate and prior against the paper's equations and numbers worked out by hand."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from evae.errors import UserError
from evae.kernels import KERNELS, get_kernel
from evae.posteriors import Evae
from evae.posteriors.base import MIN_WIDTH


def heads(mu: float, r: float, n: int = 1) -> torch.Tensor:
    """What the encoder has to yield for this mu and r: softplus inverted."""
    return torch.tensor([[mu, math.log(math.expm1(r - MIN_WIDTH))]], dtype=torch.float64).repeat(n, 1)


def draw(posterior: Evae, mu: float, r: float, n: int = 40_000) -> torch.Tensor:
    return posterior.sample(heads(mu, r, n), torch.Generator().manual_seed(0))[:, 0]


def test_defaults_are_the_papers():
    posterior = Evae()
    assert (posterior.kernel, posterior.prior, posterior.prior_width) == ("epanechnikov", "uniform", 0.1)
    assert posterior.bandwidth == pytest.approx(0.35938, abs=5e-6)


def test_rate_of_the_papers_setting():
    # B = 0.1 and M = 100 give 6e-4 / r; 64 latents of r = 1 cost 0.0384 nats.
    posterior = Evae()
    assert float(posterior.rate(heads(0.3, 1.0))) == pytest.approx(6e-4)
    assert float(posterior.rate(heads(-5.0, 0.25))) == pytest.approx(24e-4)
    assert float(64 * posterior.rate(heads(0.0, 1.0))) == pytest.approx(0.0384)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("equal_variance", [True, False])
def test_rate_is_the_chi_square_divergence_in_the_limit_that_the_bound_takes(name, equal_variance):
    """The chi-square divergence of K_r(t) = K(t / r) / r from a uniform density of length B is B times the
    integral of K_r^2, less 1. Eq. 10 keeps the first term over M.
    """
    posterior = Evae(kernel=name, equal_variance=equal_variance, prior_width=4.0, sample_size=1)
    r, length = 0.05, 4.0
    kernel = get_kernel(name)
    kernel = kernel.rescaled(0.2) if equal_variance else kernel

    def squared(t: float) -> float:
        return float(kernel.density(torch.tensor(t / r, dtype=torch.float64)) / r) ** 2

    half = min(r * kernel.support, length / 2)
    chi_square = 2 * length * integrate.quad(squared, 0, half, epsabs=1e-10)[0] - 1
    assert float(posterior.rate(heads(0.0, r))) == pytest.approx(chi_square + 1, rel=1e-6)


def density(posterior: Evae, z: torch.Tensor, mu: float, r: float) -> torch.Tensor:
    """The convolution of eq. 11 in closed form for the uniform prior, through the kernel's CDF."""
    b, width, kernel = posterior.bandwidth, posterior.prior_width, posterior.shape
    upper, lower = (z - b * mu + width / 2) / (b * r), (z - b * mu - width / 2) / (b * r)
    return (kernel.cdf(upper) - kernel.cdf(lower)) / width


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize(("mu", "r", "bandwidth", "width"), [(0.7, 0.4, 0.35938, 0.1), (-0.3, 1.0, 0.5, 2.0)])
def test_samples_follow_the_density_of_the_convolution(name, mu, r, bandwidth, width):
    posterior = Evae(kernel=name, bandwidth=bandwidth, prior_width=width)
    spread = bandwidth * r * min(posterior.shape.support, 15.0) + width / 2
    grid = torch.linspace(bandwidth * mu - spread, bandwidth * mu + spread, 4001, dtype=torch.float64)
    cumulative = integrate.cumulative_trapezoid(density(posterior, grid, mu, r).numpy(), grid.numpy(), initial=0)
    assert cumulative[-1] == pytest.approx(1, abs=1e-4)
    fit = stats.kstest(draw(posterior, mu, r), lambda z: np.interp(z, grid.numpy(), cumulative))
    assert fit.pvalue > 1e-6


def test_support_mean_and_variance_of_the_papers_posterior():
    posterior = Evae()
    samples = draw(posterior, 0.7, 0.4)
    assert 0.0578144 <= samples.min() < 0.0578144 + 0.02
    assert 0.4453195 - 0.02 < samples.max() <= 0.4453195
    assert float(posterior.mean(heads(0.7, 0.4))) == pytest.approx(0.2515670, abs=1e-6)
    assert float(posterior.std(heads(0.7, 0.4))) ** 2 == pytest.approx(0.0049663, abs=1e-7)


def test_a_gaussian_prior_is_multiplied_by_its_width():
    posterior = Evae(prior="gaussian", prior_width=0.3)
    prior = posterior.sample_prior(20_000, 1, torch.Generator().manual_seed(0))
    assert stats.kstest(prior[:, 0], stats.norm(0, 0.3).cdf).pvalue > 1e-6
    # With hardly any kernel left, a posterior sample is its centre plus a draw from the prior.
    noise = draw(posterior, 2.0, 2 * MIN_WIDTH) - posterior.bandwidth * 2.0
    assert stats.kstest(noise, stats.norm(0, 0.3).cdf).pvalue > 1e-6


def test_a_uniform_prior_has_its_width_as_its_length():
    prior = Evae(prior_width=0.3).sample_prior(20_000, 1, torch.Generator().manual_seed(0))
    assert stats.kstest(prior[:, 0], stats.uniform(-0.15, 0.3).cdf).pvalue > 1e-6


def test_at_equal_variance_the_kernels_differ_only_in_shape():
    stds = [float(Evae(kernel=name).std(heads(0.0, 0.8))) for name in KERNELS]
    assert stds == pytest.approx([stds[0]] * len(stds))
    raw = [float(Evae(kernel=name, equal_variance=False).std(heads(0.0, 0.8))) for name in KERNELS]
    assert max(raw) > 2 * min(raw)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"bandwidth": -0.1}, "bandwidth of the evae posterior must be more than 0, not -0.1"),
        ({"bandwidth": math.nan}, "bandwidth"),
        ({"prior_width": 0.0}, "prior_width"),
        ({"sample_size": 0}, "sample_size of the evae posterior must be at least 1"),
        ({"prior": "unifrom"}, "unknown prior 'unifrom'. Did you mean 'uniform'"),
        ({"kernel": "gausian"}, "unknown kernel 'gausian'. Did you mean 'gaussian'"),
    ],
)
def test_hyperparameters_outside_their_range_are_errors(wrong, says):
    with pytest.raises(UserError, match=says):
        Evae(**wrong)
