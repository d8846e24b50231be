import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm, wasserstein_distance

from evae.metrics.latents import active_units, aggregate_w1, kl_units, sparseness


def normal(n: int, latent: int, seed: int) -> torch.Tensor:
    return torch.randn(n, latent, generator=torch.Generator().manual_seed(seed))


def test_active_units_counts_variances_above_the_threshold():
    codes = normal(4000, 4, 0) * torch.tensor([1.0, 0.2, 0.05, 0.0]) + 5
    assert active_units(codes) == 2
    assert active_units(codes, threshold=1e-3) == 3


@pytest.mark.parametrize("m", [300, 171])
def test_w1_agrees_with_scipy(m: int):
    """For sets of equal and of different size."""
    x, prior = normal(300, 5, 0) * 1.5 + 0.3, normal(m, 5, 1)
    expected = np.mean([wasserstein_distance(a, b) for a, b in zip(x.T.numpy(), prior.T.numpy(), strict=True)])
    assert aggregate_w1(x, prior, 1.0) == pytest.approx(expected, rel=1e-6)


def test_w1_of_a_shift_is_the_shift_in_prior_standard_deviations():
    prior = normal(100, 3, 0) * 0.1
    assert aggregate_w1(prior + 0.05, prior, 0.1) == pytest.approx(0.5, rel=1e-5)
    assert aggregate_w1(prior, prior, 0.1) == 0
    # One for each latent: the shifts are of 0.5, 1 and 0.25 of them.
    assert aggregate_w1(prior + 0.05, prior, torch.tensor([0.1, 0.05, 0.2])) == pytest.approx(1.75 / 3, rel=1e-5)


def test_w1_of_two_sets_of_the_prior_is_its_stated_floor():
    """Its expectation: E|N(0, 1)| times the integral of the standard deviation of F_n - F_m."""
    n, m = 400, 800
    spread, _ = quad(lambda z: math.sqrt(norm.cdf(z) * norm.sf(z)), -12, 12)
    constant = math.sqrt(2 / math.pi) * spread
    floor = aggregate_w1(normal(n, 1000, 0), normal(m, 1000, 1), 1.0)
    assert constant == pytest.approx(1.29, abs=0.005)
    assert floor == pytest.approx(constant * math.sqrt(1 / n + 1 / m), rel=0.08)


def test_sparseness_from_even_to_one_hot():
    codes = torch.tensor([[2.0, 0.0, 1.0, 0.0]] * 5 + [[2.0, 0.0, 0.0, 0.0]] * 5)
    codes[0, 3] = 7.0
    # Over images: even, silent, half on (m = 10), one of ten.
    assert sparseness(codes[:, :1], 0) == pytest.approx(0)
    assert sparseness(codes[:, 1:2], 0) == 1
    assert sparseness(codes[1:, 1:2].repeat(2, 1), 0) == 1
    half = torch.tensor([1.0, 0.0]).repeat(5)[:, None]
    assert sparseness(half, 0) == pytest.approx(0.5555556)
    assert sparseness(codes[:, 3:], 0) == pytest.approx(1)
    # Over latents: the sum's square over the squares' sum is 9 / 5 of 4.
    assert sparseness(codes[1:2], 1) == pytest.approx((1 - 9 / 20) / 0.75)


def test_units_are_counted_by_their_mean_divergence():
    assert kl_units(torch.tensor([[0.0, 0.03, 0.005, 2.0], [0.0, 0.0, 0.005, 2.0]])) == 2
