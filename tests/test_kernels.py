"""The conformance suite that every kernel inherits, in its standard form and rescaled."""

import math
from itertools import pairwise

import pytest
import torch
from scipy import integrate, stats

from evae.errors import UserError
from evae.kernels import KERNELS, Kernel, get_kernel

SAMPLES = 20_000
CASES = [kernel for standard in KERNELS.values() for kernel in (standard, standard.rescaled(3.0))]
every_kernel = pytest.mark.parametrize("kernel", CASES, ids=lambda k: f"{k.name}-{k.variance:.3g}")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw(kernel: Kernel, n: int = SAMPLES, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return kernel.sample((n,), generator(seed), "cpu", dtype)


def density(kernel: Kernel, t: float) -> float:
    return float(kernel.density(torch.tensor(t, dtype=torch.float64)))


def cdf(kernel: Kernel, t: float) -> float:
    return float(kernel.cdf(torch.tensor(t, dtype=torch.float64)))


def integral(kernel: Kernel, f, low: float | None = None, high: float | None = None) -> float:
    """Integral of f(t, K(t)) over the part of the support between low and high, split at the kink in 0."""
    reach = min(kernel.support, 60 * math.sqrt(kernel.variance))
    low, high = -reach if low is None else low, reach if high is None else high
    cuts = [low, *([0.0] if low < 0 < high else []), high]
    return sum(integrate.quad(lambda t: f(t, density(kernel, t)), a, b, epsabs=1e-11)[0] for a, b in pairwise(cuts))


@every_kernel
def test_density_integrates_to_one(kernel):
    assert integral(kernel, lambda t, k: k) == pytest.approx(1, abs=1e-8)


@every_kernel
def test_variance_is_the_second_moment(kernel):
    assert integral(kernel, lambda t, k: t * t * k) == pytest.approx(kernel.variance, rel=1e-7)


@every_kernel
def test_roughness_is_the_integral_of_the_square(kernel):
    assert integral(kernel, lambda t, k: k * k) == pytest.approx(kernel.roughness, rel=1e-7)


@every_kernel
def test_entropy_is_the_integral_of_minus_k_ln_k(kernel):
    assert integral(kernel, lambda t, k: -k * math.log(k) if k > 0 else 0) == pytest.approx(kernel.entropy, abs=1e-7)


@every_kernel
def test_density_is_symmetric(kernel):
    t = torch.linspace(0, 5, 101, dtype=torch.float64)
    torch.testing.assert_close(kernel.density(t), kernel.density(-t))
    torch.testing.assert_close(kernel.cdf(t) + kernel.cdf(-t), torch.ones_like(t))


@every_kernel
@pytest.mark.parametrize("deviations", [-1.3, -0.4, 0.0, 0.7, 1.6])
def test_cdf_is_the_integral_of_the_density(kernel, deviations):
    reach = min(kernel.support, 60 * math.sqrt(kernel.variance))
    t = deviations * math.sqrt(kernel.variance)
    assert cdf(kernel, t) == pytest.approx(integral(kernel, lambda _, k: k, low=-reach, high=t), abs=1e-8)


@every_kernel
def test_nothing_outside_the_support(kernel):
    edge = kernel.support
    if math.isinf(edge):
        assert density(kernel, 5 * math.sqrt(kernel.variance)) > 0
        assert draw(kernel).abs().max() > 3 * math.sqrt(kernel.variance)
        return
    assert density(kernel, edge * 1.001) == density(kernel, -edge * 1.001) == 0
    assert (cdf(kernel, -edge * 2), cdf(kernel, edge * 2)) == pytest.approx((0, 1), abs=1e-12)
    samples = draw(kernel)
    assert samples.abs().max() <= edge
    assert samples.abs().max() > 0.9 * edge  # and the samples reach towards it


@every_kernel
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_samples_follow_the_cdf(kernel, dtype):
    samples = draw(kernel, dtype=dtype)
    assert samples.dtype == dtype
    fit = stats.kstest(samples.double().numpy(), lambda t: kernel.cdf(torch.from_numpy(t)).numpy())
    assert fit.pvalue > 1e-6


@every_kernel
def test_neighbouring_samples_are_independent(kernel):
    ranks = kernel.cdf(kernel.sample((SAMPLES, 2), generator(), "cpu", torch.float64))
    assert stats.pearsonr(ranks[:, 0].numpy(), ranks[:, 1].numpy()).pvalue > 1e-6
    assert stats.pearsonr(ranks[:-1, 0].numpy(), ranks[1:, 0].numpy()).pvalue > 1e-6


@every_kernel
def test_same_generator_same_samples(kernel):
    assert torch.equal(draw(kernel, 50), draw(kernel, 50))
    assert not torch.equal(draw(kernel, 50), draw(kernel, 50, seed=1))


@every_kernel
def test_gradients_of_samples_are_those_of_the_moments(kernel):
    """With z = mu + r k: E z^2 = mu^2 + r^2 var, so its gradient is (2 mu, 2 r var)."""
    n = 200_000
    mu = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    r = torch.tensor(1.3, dtype=torch.float64, requires_grad=True)
    z = mu + r * draw(kernel, n)
    by_mu, by_r = torch.autograd.grad(z.square().mean(), (mu, r))
    spread = math.sqrt(kernel.variance)
    assert float(by_mu) == pytest.approx(2 * 0.7, abs=5 * 2 * 1.3 * spread / math.sqrt(n))
    # The standard error of the mean of 2 z k is at most 2 (0.7 sd(k) + 1.3 sd(k^2)) / sqrt(n); kurtosis <= 6.
    error = 2 * (0.7 * spread + 1.3 * math.sqrt(5) * kernel.variance) / math.sqrt(n)
    assert float(by_r) == pytest.approx(2 * 1.3 * kernel.variance, abs=5 * error)


@every_kernel
@pytest.mark.parametrize("variance", [1e-4, 0.2, 40.0])
def test_rescaled_has_that_variance_and_the_same_shape(kernel, variance):
    other = kernel.rescaled(variance)
    ratio = math.sqrt(variance / kernel.variance)
    assert other.variance == pytest.approx(variance, rel=1e-12)
    assert other.name == kernel.name
    # Change of variables: the density of s k in s t is K(t) / s.
    t = 0.37 * math.sqrt(kernel.variance)
    assert density(other, ratio * t) * ratio == pytest.approx(density(kernel, t), rel=1e-9)
    torch.testing.assert_close(draw(other, 20), ratio * draw(kernel, 20))


def test_of_one_variance_the_epanechnikov_kernel_has_the_least_roughness_and_the_gaussian_the_most_entropy():
    kernels = [kernel.rescaled(0.2) for kernel in KERNELS.values()]
    assert min(kernels, key=lambda k: k.roughness).name == "epanechnikov"
    assert max(kernels, key=lambda k: k.entropy).name == "gaussian"


def test_published_constants_of_the_epanechnikov_kernel():
    kernel = get_kernel("epanechnikov")
    assert (kernel.variance, kernel.roughness, kernel.support) == pytest.approx((1 / 5, 3 / 5, 1))
    assert kernel.entropy == pytest.approx(0.5680544, abs=1e-7)
    assert integral(kernel, lambda t, k: t**4 * k) == pytest.approx(3 / 35)
    assert integral(kernel, lambda t, k: abs(t) * k) == pytest.approx(3 / 8)
    p = torch.linspace(0.01, 0.99, 50, dtype=torch.float64)
    torch.testing.assert_close(kernel.cdf(2 * torch.sin(torch.asin(2 * p - 1) / 3)), p)  # its inverse CDF


@pytest.mark.parametrize(
    ("name", "roughness"),
    [
        ("epanechnikov", 0.6),
        ("triangular", 0.6086),
        ("gaussian", 0.6308),
        ("uniform", 0.6455),
        ("laplace", 0.7906),
    ],
)
def test_roughness_at_the_variance_of_the_epanechnikov_kernel(name, roughness):
    assert get_kernel(name).rescaled(0.2).roughness == pytest.approx(roughness, abs=5e-5)


SCIPY = {
    "epanechnikov": stats.beta(2, 2, loc=-1, scale=2),
    "uniform": stats.uniform(-1, 2),
    "triangular": stats.triang(0.5, loc=-1, scale=2),
    "biweight": stats.beta(3, 3, loc=-1, scale=2),
    "triweight": stats.beta(4, 4, loc=-1, scale=2),
    "gaussian": stats.norm(),
    "logistic": stats.logistic(),
    "laplace": stats.laplace(),
}


@pytest.mark.parametrize("name", sorted(set(KERNELS) - {"cosine"}))
def test_standard_forms_are_those_of_scipy(name):
    kernel, reference = KERNELS[name], SCIPY[name]
    t = torch.linspace(-3.05, 3.05, 200, dtype=torch.float64)
    torch.testing.assert_close(kernel.density(t), torch.from_numpy(reference.pdf(t.numpy())))
    torch.testing.assert_close(kernel.cdf(t), torch.from_numpy(reference.cdf(t.numpy())))
    assert kernel.variance == pytest.approx(reference.var())
    assert kernel.entropy == pytest.approx(float(reference.entropy()))


@every_kernel
def test_no_sample_is_infinite(kernel):
    """An inverse CDF is infinite at 0 and 1. torch.rand returns exactly 0 once in 2^11 draws in half
    precision (in single once in 2^24), so that few draws find here what would end a training run.
    """
    assert torch.isfinite(draw(kernel, dtype=torch.float16)).all()


@pytest.mark.parametrize(("name", "uniforms"), [("uniform", 1), ("epanechnikov", 3), ("biweight", 5), ("triweight", 7)])
def test_polynomial_kernels_are_medians_of_uniforms(name, uniforms):
    """Algorithm 2 of Qin & Huang and its siblings, through torch's own median."""
    expected = torch.rand(uniforms, 500, 3, generator=generator()).median(dim=0).values * 2 - 1
    assert torch.equal(KERNELS[name].sample((500, 3), generator()), expected)


def test_an_unknown_kernel_is_an_error_that_names_the_nearest():
    with pytest.raises(UserError, match="epanechnikov"):
        get_kernel("epanechnikow")
