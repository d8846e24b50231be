"""The Gaussian posterior against torch's own distributions."""

import torch
from torch.distributions import Normal, kl_divergence

from evae.posteriors import Gaussian


def test_rate_is_the_divergence_that_torch_computes():
    posterior = Gaussian()
    heads = torch.randn(50, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = kl_divergence(Normal(posterior.mean(heads), posterior.std(heads)), Normal(0, 1))
    torch.testing.assert_close(posterior.rate(heads), expected)


def test_rate_keeps_its_digits_close_to_zero():
    # The series for ln sigma^2 = v and mu = 0; in single precision e^v - 1 - v as written is mostly noise.
    heads = torch.tensor([[0.0, 1e-2]])
    expected = torch.tensor([[1e-4 / 4 + 1e-6 / 12 + 1e-8 / 48]])
    torch.testing.assert_close(Gaussian().rate(heads), expected, rtol=1e-4, atol=0)
