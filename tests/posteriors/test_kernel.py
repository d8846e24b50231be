"""The exact divergences of kernel posteriors against quadrature and published values."""

import math

import pytest
import torch
from scipy import integrate, stats

from evae.errors import UserError
from evae.kernels import KERNELS, get_kernel
from evae.posteriors import KernelKL
from evae.posteriors.kernel import HALF_WIDTH, kl_to_normal, kl_to_uniform

COMPACT = [name for name, kernel in KERNELS.items() if math.isfinite(kernel.support)]
INFINITE = sorted(set(KERNELS) - set(COMPACT))


def tensor(value: float) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.float64)


def divergence(kernel, mu: float, r: float, log_prior) -> float:
    """Integral of q ln(q / p), where q is the density of mu + r k."""

    def integrand(t: float) -> float:
        q = float(kernel.density(tensor(t))) / r
        return r * q * (math.log(q) - log_prior(mu + r * t)) if q > 0 else 0.0

    reach = min(kernel.support, 60 * math.sqrt(kernel.variance))
    return sum(integrate.quad(integrand, *ends, epsabs=1e-10)[0] for ends in ((-reach, 0), (0, reach)))


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize(("mu", "r"), [(0.0, 1.0), (0.5, 2.0), (-2.0, 0.3)])
def test_divergence_from_the_normal_prior_against_quadrature(name, mu, r):
    kernel = get_kernel(name)
    expected = divergence(kernel, mu, r, stats.norm.logpdf)
    assert float(kl_to_normal(kernel, tensor(mu), tensor(r))) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("name", COMPACT)
@pytest.mark.parametrize(("mu", "r", "c"), [(0.0, 1.0, 1.0), (0.5, 0.5, 2.0), (-1.1, 0.3, 1.5)])
def test_divergence_from_the_uniform_prior_against_quadrature(name, mu, r, c):
    kernel = get_kernel(name)
    expected = divergence(kernel, mu, r, lambda z: -math.log(2 * c) if abs(z) <= c else -math.inf)
    assert float(kl_to_uniform(kernel, tensor(r), c)) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize(
    ("mu", "r", "nats"), [(0, 1, 0.4508842), (1, 1, 0.9508842), (0.5, 2, 0.1827370), (-2, 0.3, 3.5638570)]
)
def test_values_for_the_epanechnikov_kernel_and_the_normal_prior(mu, r, nats):
    kernel = get_kernel("epanechnikov")
    assert float(kl_to_normal(kernel, tensor(mu), tensor(r))) == pytest.approx(nats, abs=5e-8)


def test_least_divergence_of_the_epanechnikov_kernel_from_the_normal_prior():
    r = torch.linspace(0.5, 5, 100_001, dtype=torch.float64)
    nats = kl_to_normal(get_kernel("epanechnikov"), torch.zeros_like(r), r)
    assert float(nats.min()) == pytest.approx(0.0461652, abs=5e-8)
    assert float(r[nats.argmin()]) == pytest.approx(math.sqrt(5), abs=1e-4)


def test_least_divergence_of_the_epanechnikov_kernel_from_the_uniform_prior():
    nats = kl_to_uniform(get_kernel("epanechnikov"), tensor(0.7), 0.7)
    assert float(nats) == pytest.approx(0.1250928, abs=5e-8)


def test_a_gaussian_kernel_is_the_gaussian_posterior():
    posterior = KernelKL(kernel="gaussian")
    heads = torch.randn(20, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    q = torch.distributions.Normal(posterior.mean(heads), posterior.std(heads))
    expected = torch.distributions.kl_divergence(q, torch.distributions.Normal(0, 1))
    torch.testing.assert_close(posterior.rate(heads), expected)


@pytest.mark.parametrize(
    ("prior", "name"), [*(("gaussian", name) for name in KERNELS), *(("uniform", name) for name in COMPACT)]
)
def test_rate_is_the_mean_log_ratio_of_the_samples(name, prior):
    """Monte Carlo through the family's own sampler: E ln q(z) - ln p(z)."""
    posterior, n = KernelKL(kernel=name, prior=prior), 40_000
    heads = torch.tensor([[0.4, -0.8]], dtype=torch.float64)
    z = posterior.sample(heads.repeat(n, 1), torch.Generator().manual_seed(0))[:, 0]
    mu, std = float(posterior.mean(heads)), float(posterior.std(heads))
    log_q = posterior.shape.density((z - mu) / std).log() - math.log(std)
    p = stats.norm() if prior == "gaussian" else stats.uniform(-HALF_WIDTH, 2 * HALF_WIDTH)
    ratios = log_q - torch.from_numpy(p.logpdf(z.numpy()))
    error = float(ratios.std()) / math.sqrt(n)
    assert float(ratios.mean()) == pytest.approx(float(posterior.rate(heads)), abs=5 * error + 1e-12)


@pytest.mark.parametrize("name", COMPACT)
def test_under_the_uniform_prior_the_support_stays_inside_whatever_the_encoder_yields(name):
    posterior = KernelKL(kernel=name, prior="uniform")
    numbers = torch.tensor([-60.0, -6.0, -0.5, 0.0, 0.5, 6.0, 60.0], dtype=torch.float64)
    heads = torch.cartesian_prod(numbers, numbers)
    reach = posterior.mean(heads).abs() + posterior.shape.support * posterior.std(heads)
    assert reach.max() <= HALF_WIDTH * (1 + 1e-12)
    # Both ends are within reach: the whole prior, and a sliver at its edge.
    assert (posterior.shape.support * posterior.std(heads)).max() == pytest.approx(HALF_WIDTH)
    assert posterior.mean(heads).max() > 0.99 * HALF_WIDTH


@pytest.mark.parametrize("name", COMPACT)
def test_rounding_takes_no_draw_out_of_its_support(name):
    """In single precision, narrow and far from 0: what is lost of a draw's place is no part of its density."""
    posterior = KernelKL(kernel=name)
    heads = torch.tensor([[100.0, -20.0]]).repeat(50_000, 1)
    codes = posterior.sample(heads, torch.Generator().manual_seed(0))
    found = posterior.log_density(heads, codes) + math.log(float(posterior.std(heads)[0]))
    assert found.min() > -20  # and -87 or so where a density of 0 was found
    if name == "uniform":
        torch.testing.assert_close(found, torch.full_like(found, -math.log(2 * math.sqrt(3))))
    beyond = posterior.log_density(heads[:1], torch.tensor([[100.1]]))
    assert float(beyond) < -70


@pytest.mark.parametrize("name", COMPACT)
def test_under_the_uniform_prior_no_draw_is_beyond_the_prior(name):
    posterior = KernelKL(kernel=name, prior="uniform")
    heads = torch.cartesian_prod(torch.tensor([-60.0, 0.0, 60.0]), torch.tensor([-6.0, 0.0, 60.0])).repeat(2000, 1)
    codes = posterior.sample(heads, torch.Generator().manual_seed(0))
    torch.testing.assert_close(posterior.prior_log_density(codes), torch.full_like(codes, -math.log(2 * HALF_WIDTH)))
    assert posterior.prior_log_density(torch.tensor([[-1.74, 1.8]])).eq(-math.inf).all()


@pytest.mark.parametrize("name", COMPACT)
def test_the_uniform_prior_has_unit_variance_and_those_edges(name):
    prior = KernelKL(kernel=name, prior="uniform").sample_prior(20_000, 1, torch.Generator().manual_seed(0))
    assert stats.kstest(prior[:, 0], stats.uniform(-HALF_WIDTH, 2 * HALF_WIDTH).cdf).pvalue > 1e-6
    assert stats.uniform(-HALF_WIDTH, 2 * HALF_WIDTH).var() == pytest.approx(1)


@pytest.mark.parametrize("name", INFINITE)
def test_a_kernel_with_tails_cannot_have_a_uniform_prior(name):
    with pytest.raises(UserError, match="prior gaussian, or one of the kernels biweight, cosine"):
        KernelKL(kernel=name, prior="uniform")


def test_mistyped_names_are_errors():
    with pytest.raises(UserError, match="Did you mean 'gaussian'"):
        KernelKL(prior="gausian")
    with pytest.raises(UserError, match="Did you mean 'laplace'"):
        KernelKL(kernel="laplas")
