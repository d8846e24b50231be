"""What every density family has to do: each check takes one with its hyperparameters."""

from functools import cache

import torch
from torch import Tensor

from evae.densities.base import Density, Fitted
from evae.testing.contract import Check, expect

IS = ("exact", "bound", "none")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def codes() -> Tensor:
    """(400, 3): two clusters in the first two latents, of unequal scale; the third is constant."""
    drawn = torch.randn(400, 3, generator=generator(3))
    drawn[:200, 0] += 4
    return drawn * torch.tensor([1.0, 0.05, 0.0]) + torch.tensor([0.0, 1.0, 0.7])


@cache
def fitted(density: Density, seed: int = 0) -> Fitted:
    return density.fit(codes(), generator(seed))


def samples_are_codes(density: Density) -> None:
    """Shape and type; within the range of the codes; constant latents at their value."""
    drawn, known = fitted(density).sample(300, generator()), codes()
    expect(drawn.shape == (300, 3), "sample", f"{tuple(drawn.shape)} instead of (n, latent), (300, 3)")
    expect(drawn.dtype == torch.float32, "sample", f"{drawn.dtype} instead of float32")
    inside = (drawn >= known.amin(0)) & (drawn <= known.amax(0))
    expect(inside.all(), "sample", "leaves the range of the codes")
    far = (drawn.mean(0) - known.mean(0)).abs() > known.std(0) + 1e-6
    expect(not far.any(), "sample", "the mean of samples is more than a standard deviation from that of the codes")


def randomness_comes_from_the_generator(density: Density) -> None:
    one = fitted(density)
    same = torch.equal(one.sample(4, generator()), one.sample(4, generator()))
    expect(same, "sample", "ignores its generator: the same seed gives other numbers")
    differ = not torch.equal(one.sample(4, generator()), one.sample(4, generator(1)))
    expect(differ, "sample", "ignores its generator: another seed gives the same numbers")
    before = torch.random.get_rng_state()
    again = density.fit(codes(), generator())
    untouched = torch.equal(before, torch.random.get_rng_state())
    expect(untouched, "estimate", "draws from torch's own random numbers, and not from its generator alone")
    first, second = one.state(), again.state()
    same = first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
    expect(same, "estimate", "the same generator and codes give another fit")


def the_state_brings_it_back(density: Density) -> None:
    one = fitted(density)
    state = one.state()
    tensors = all(isinstance(value, Tensor) for value in state.values())
    expect(tensors, "state", "holds something that is no tensor")
    back = density.restore({name: value.clone() for name, value in state.items()})
    same = torch.equal(one.sample(5, generator()), back.sample(5, generator()))
    expect(same, "restored", "gives other samples than before")
    values = (one.log_density(codes()), back.log_density(codes()))
    expect(torch.equal(*(value.nan_to_num() for value in values)), "restored", "gives another density than before")


def the_density_is_what_it_says(density: Density) -> None:
    expect(density.density_is in IS, "density_is", f"{density.density_is!r} is none of {', '.join(IS)}")
    values = fitted(density).log_density(codes())
    expect(values.shape == (400,), "log_density", f"{tuple(values.shape)} instead of (n,), (400,)")
    if density.density_is == "none":
        expect(values.isnan().all(), "log_density", 'is not NaN, although density_is is "none"')
    else:
        expect(not values.isnan().any(), "log_density", "NaN at codes that it was fitted to")


def an_exact_density_is_that_of_samples(density: Density) -> None:
    """The mean of q / p over samples of p is 1, for a q within p: Gaussian around one of the two clusters."""
    if density.density_is != "exact":
        return
    one = fitted(density)
    inner = one.scaling.standardise(codes())
    known = inner[:200]
    q = torch.distributions.Normal(known.mean(0), known.std(0) / 2)
    drawn = one.estimate.sample(20_000, generator())
    ratio = torch.exp(q.log_prob(drawn).sum(1) - one.estimate.log_density(drawn))
    error = float(ratio.std()) / len(drawn) ** 0.5
    holds = abs(float(ratio.mean()) - 1) < max(6 * error, 0.02)
    expect(holds, "log_density", "is not the density of `sample`: it does not integrate to one there")


CHECKS: tuple[Check, ...] = (
    samples_are_codes,
    randomness_comes_from_the_generator,
    the_state_brings_it_back,
    the_density_is_what_it_says,
    an_exact_density_is_that_of_samples,
)
