"""Densities that are networks: what they learn, and where they cannot."""

import pytest
import torch

from evae.densities import Flow, GaussianDensity, SecondStage
from evae.errors import NotFitted
from evae.testing.densities import generator

SMALL = (Flow(transforms=2, bins=4, width=32, steps=150), SecondStage(width=64, steps=400))


def ring(n: int, seed: int) -> torch.Tensor:
    """A circle of radius 1 and width 0.1: what no Gaussian is."""
    noise = torch.randn(n, 2, generator=generator(seed))
    return torch.nn.functional.normalize(noise) + 0.1 * torch.randn(n, 2, generator=generator(seed + 100))


@pytest.mark.parametrize("density", SMALL, ids=lambda d: d.family)
def test_it_learns_what_is_not_gaussian(density):
    known, unseen = ring(1000, 0), ring(300, 1)
    found, gauss = (one.fit(known, generator()) for one in (density, GaussianDensity()))
    better = float((found.log_density(unseen) - gauss.log_density(unseen)).mean())
    assert better > 0.3
    radius = found.sample(500, generator()).norm(dim=1)
    assert float((radius < 0.5).float().mean()) < 0.12


def test_a_loss_that_is_not_finite_is_said_with_its_remedy():
    with pytest.raises(NotFitted, match=r"became .* in step \d+: give a smaller learning rate"):
        SecondStage(width=16, steps=50, learning_rate=1e6).fit(ring(100, 0), generator())


def test_a_bound_lies_below_the_density_that_it_bounds():
    """Of Gaussian codes, whose own density is known, by no more than a little of a nat."""
    codes = torch.randn(2000, 3, generator=generator())
    found = SecondStage(width=32, steps=600).fit(codes, generator())
    unseen = torch.randn(2000, 3, generator=generator(1))
    exact = torch.distributions.Normal(0.0, 1.0).log_prob(unseen).sum(1)
    gap = exact - found.log_density(unseen)
    assert -2 * float(gap.std()) / 2000**0.5 < float(gap.mean()) < 0.2


def test_what_is_kept_is_what_explains_codes_that_were_held_out():
    """Two hundred steps on 60 codes learn these by heart: unseen ones would be 10 nats less likely than they are."""
    codes, unseen = torch.randn(2, 60, 4, generator=generator()).double()
    found = Flow(steps=200, transforms=2, width=32).fit(codes, generator())
    exact = torch.distributions.Normal(0.0, 1.0).log_prob(unseen).sum(1)
    assert float((exact - found.log_density(unseen)).mean()) < 2
