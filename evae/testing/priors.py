"""What every prior family has to do: each check takes one with its hyperparameters."""

import torch
from torch import nn

from evae.priors.base import Prior
from evae.testing.contract import Check, expect

LATENT = 2


def built(prior: Prior) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        module = prior.build(LATENT)
    expect(isinstance(module, nn.Module), "build", f"returns {type(module).__name__} instead of a torch module")
    return module


def drawn(module: nn.Module, n: int, seed: int = 0) -> torch.Tensor:
    return module.sample(n, torch.Generator().manual_seed(seed)).detach()


def shapes(prior: Prior) -> None:
    module = built(prior)
    codes = drawn(module, 5)
    expect(codes.shape == (5, LATENT), "sample", f"{tuple(codes.shape)} instead of (n, latent), (5, {LATENT})")
    log_density = module.log_density(codes)
    expect(log_density.shape == (5,), "log_density", f"{tuple(log_density.shape)} instead of (n,), (5,)")
    expect(torch.isfinite(log_density).all(), "log_density", "not finite at samples of the prior itself")


def randomness_comes_from_the_generator(prior: Prior) -> None:
    module = built(prior)
    same = torch.equal(drawn(module, 4), drawn(module, 4))
    expect(same, "sample", "ignores its generator: the same seed gives other numbers")
    differ = not torch.equal(drawn(module, 4), drawn(module, 4, seed=1))
    expect(differ, "sample", "ignores its generator: another seed gives the same numbers")


def the_density_is_that_of_samples(prior: Prior) -> None:
    """The mean of q(z) / p(z) over samples of p is 1, for a q within the prior: its own samples, shrunk a little and
    smoothed."""
    module = built(prior)
    samples = drawn(module, 20_000)
    centre, spread = samples.mean(0), samples.std(0) / 2
    q = torch.distributions.Normal(centre, spread)
    with torch.no_grad():
        ratio = torch.exp(q.log_prob(samples).sum(1) - module.log_density(samples))
    error = float(ratio.std()) / len(samples) ** 0.5
    off = abs(float(ratio.mean()) - 1)
    holds = off < max(6 * error, 0.02)
    expect(holds, "log_density", "is not the density of `sample`: it does not integrate to one there")


def gradients_reach_the_codes(prior: Prior) -> None:
    module = built(prior).double()
    codes = drawn(module, 3).double().requires_grad_()
    holds = torch.autograd.gradcheck(module.log_density, codes, raise_exception=False)
    expect(holds, "log_density", "the gradient is not its finite difference")


CHECKS: tuple[Check, ...] = (
    shapes,
    randomness_comes_from_the_generator,
    gradients_reach_the_codes,
    the_density_is_that_of_samples,
)
