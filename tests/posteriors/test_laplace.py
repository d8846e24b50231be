"""The Laplace posterior against torch's own distributions."""

import torch
from torch.distributions import Laplace as Exact
from torch.distributions import kl_divergence

from evae.posteriors import Laplace


def test_rate_is_the_divergence_that_torch_computes():
    posterior = Laplace()
    heads = torch.randn(50, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    scale = posterior.std(heads) / 2**0.5
    expected = kl_divergence(Exact(posterior.mean(heads), scale), Exact(torch.zeros(()).double(), 1))
    torch.testing.assert_close(posterior.rate(heads), expected)


def test_rate_keeps_its_digits_close_to_zero():
    heads = torch.tensor([[1e-2, 0.0], [0.0, 1e-2]])
    # The series at b = 1 in mu, and at mu = 0 in ln b, of which the tanh takes 1e-6.
    expected = torch.tensor([[1e-4 / 2 - 1e-6 / 6], [1e-4 / 2 + 1e-6 / 6]])
    torch.testing.assert_close(Laplace().rate(heads), expected, rtol=1e-3, atol=0)
