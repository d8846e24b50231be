"""The kernel density beside scikit-learn's and scipy's, its bandwidth, and memorising."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import gaussian_kde
from sklearn.neighbors import KernelDensity as Oracle

from evae.densities import KernelDensity
from evae.densities.kernel import equal_smoothing, most_likely
from evae.kernels import KERNELS
from evae.testing.densities import generator


def normal(n: int, latents: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, latents, generator=generator(seed))


def beside(density: KernelDensity, oracle: Oracle, latents: int) -> None:
    found = density.fit(normal(200, latents), generator())
    inner = found.scaling.standardise(normal(200, latents)).float().double()
    points = found.scaling.standardise(normal(50, latents, seed=1))
    expected = torch.from_numpy(oracle.fit(inner.numpy()).score_samples(points.numpy()))
    torch.testing.assert_close(found.estimate.log_density(points), expected)


def test_gaussian_kernels_are_scikit_learns_in_any_number_of_latents():
    beside(KernelDensity(kernel="gaussian", bandwidth=0.4), Oracle(bandwidth=0.4), 3)


def test_other_kernels_are_scikit_learns_in_one_latent():
    beside(KernelDensity(bandwidth=0.4), Oracle(kernel="epanechnikov", bandwidth=0.4 * math.sqrt(5)), 1)
    beside(KernelDensity(kernel="uniform", bandwidth=0.4), Oracle(kernel="tophat", bandwidth=0.4 * math.sqrt(3)), 1)


@pytest.mark.parametrize("latents", [1, 6])
@pytest.mark.parametrize("rule", ["scott", "silverman"])
def test_rules_are_scipys(rule, latents):
    given = normal(300, latents)
    found = KernelDensity(kernel="gaussian", rule=rule).fit(given, generator())
    assert math.sqrt(found.estimate.kernel.variance) == pytest.approx(gaussian_kde(given.T.numpy(), rule).factor)


def test_kernels_of_equal_smoothing_have_the_canonical_ratio():
    """In one dimension an Epanechnikov kernel reaches 2.214 bandwidths of the Gaussian's (Härdle 1991, table 3.2)."""
    assert equal_smoothing("epanechnikov", 1) * math.sqrt(5) == pytest.approx(2.214, abs=1e-3)
    assert equal_smoothing("gaussian", 7) == pytest.approx(1)
    given = normal(300, 3)
    one, other = (KernelDensity(kernel=name, rule="scott").fit(given, generator()) for name in ("gaussian", "cosine"))
    found = math.sqrt(other.estimate.kernel.variance / one.estimate.kernel.variance)
    assert found == pytest.approx(equal_smoothing("cosine", 3))


def test_the_most_likely_bandwidth_is_near_the_best_for_normal_codes():
    """(4 / 3 n)^(1/5), which minimises the mean integrated squared error there (Silverman 1986, eq. 3.28)."""
    best = (4 / (3 * 1600)) ** 0.2
    assert most_likely(normal(2000, 1).double()) == pytest.approx(best, rel=0.5)


def test_the_most_likely_bandwidth_is_that_of_the_structure():
    """Of codes in 50 heaps of width 0.05, the rule of Scott makes one."""
    heaps = normal(50, 2).repeat(40, 1) + 0.05 * normal(2000, 2, seed=1)
    chosen, rule = (
        KernelDensity(rule=rule).fit(heaps, generator()).estimate.kernel for rule in ("likelihood", "scott")
    )
    assert chosen.variance**0.5 < 0.1 < 0.25 < rule.variance**0.5


@pytest.mark.parametrize("kernel", KERNELS)
def test_samples_are_as_wide_as_codes_and_kernel_together(kernel):
    found = KernelDensity(kernel=kernel, bandwidth=0.5).fit(normal(4000, 2), generator())
    drawn = found.estimate.sample(20_000, generator())
    np.testing.assert_allclose(drawn.var(0), 1.25, rtol=0.06)


def test_a_tiny_bandwidth_memorises():
    given = normal(500, 4)
    drawn = KernelDensity(bandwidth=1e-4).fit(given, generator()).sample(100, generator())
    assert torch.cdist(drawn, given).amin(1).max() < 2e-3
    drawn = KernelDensity().fit(given, generator()).sample(100, generator())
    assert torch.cdist(drawn, given).amin(1).median() > 0.1
