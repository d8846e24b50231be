"""The log-normal posterior against torch's own distributions."""

import torch
from torch.distributions import LogNormal, Normal, kl_divergence

from evae.posteriors import GaussianExp
from evae.testing.posteriors import generator

HEADS = torch.randn(50, 8, generator=generator(3), dtype=torch.float64)
MU, SIGMA = HEADS[:, :4], torch.exp(5.3 * torch.tanh(HEADS[:, 4:] / 5.3))


def test_the_rate_is_the_divergence_that_torch_computes():
    expected = kl_divergence(Normal(MU, SIGMA), Normal(torch.zeros(()).double(), 1))
    torch.testing.assert_close(GaussianExp().rate(HEADS), expected)


def test_moments_and_densities_are_those_of_a_log_normal_variable():
    exact, standard = LogNormal(MU, SIGMA), LogNormal(torch.zeros(()).double(), 1)
    codes = GaussianExp().sample(HEADS, generator())
    torch.testing.assert_close(GaussianExp().log_density(HEADS, codes), exact.log_prob(codes))
    torch.testing.assert_close(GaussianExp().prior_log_density(codes), standard.log_prob(codes))
    moderate = SIGMA < 2
    torch.testing.assert_close(GaussianExp().mean(HEADS)[moderate], exact.mean[moderate])
    torch.testing.assert_close(GaussianExp().std(HEADS)[moderate], exact.stddev[moderate])
    torch.testing.assert_close(GaussianExp().prior_std, float(standard.stddev), rtol=1e-6, atol=0)


def test_codes_that_would_overflow_stay_numbers():
    heads = torch.tensor([[40.0, -400.0, 40.0, 40.0]])
    codes = GaussianExp().sample(heads, generator())
    assert codes.isfinite().all() and (codes > 0).all() and GaussianExp().std(heads).isfinite().all()


def test_what_tells_a_class_is_the_mean_of_the_gaussian():
    torch.testing.assert_close(GaussianExp().representation(HEADS), MU)
