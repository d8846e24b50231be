"""What every likelihood family has to do: each check takes one with its hyperparameters."""

import torch
from torch import nn

from evae.likelihoods import Likelihood
from evae.testing.contract import Check, expect


def batch(seed: int, n: int = 3) -> torch.Tensor:
    return torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def made(likelihood: Likelihood) -> Likelihood:
    """The likelihood with what it learns beside the decoder, if that is anything, as training begins."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        module = likelihood.build()
    if module is None:
        return likelihood
    expect(isinstance(module, nn.Module), "build", f"returns {type(module).__name__} instead of a torch module")
    return likelihood.with_learned(module)


def distortion_is_a_mean_over_images(likelihood: Likelihood) -> None:
    """One finite number: twice the same images cost as much an image."""
    likelihood = made(likelihood)
    outputs, x = batch(0) - 0.5, batch(1)
    once = likelihood.distortion(outputs, x)
    expect(once.shape == (), "distortion", f"shape {tuple(once.shape)} instead of one number")
    expect(torch.isfinite(once), "distortion", "not finite for ordinary outputs")
    twice = likelihood.distortion(outputs.repeat(2, 1, 1, 1), x.repeat(2, 1, 1, 1))
    expect(torch.allclose(once, twice), "distortion", "not a mean over images: twice the same images cost otherwise")


def distortions_are_of_each_image(likelihood: Likelihood) -> None:
    """Whatever the other images are; their mean is the distortion."""
    likelihood = made(likelihood)
    outputs, x = batch(0) - 0.5, batch(1)
    alone = torch.stack([likelihood.distortion(one[None], other[None]) for one, other in zip(outputs, x, strict=True)])
    found = likelihood.distortions(outputs, x)
    holds = found.shape == (len(x),) and torch.allclose(found, alone)
    expect(holds, "distortions", "not what `distortion` gives for each image by itself")


def gradients_are_finite_differences(likelihood: Likelihood) -> None:
    likelihood = made(likelihood)
    outputs = (batch(0, 1) - 0.5).requires_grad_()
    holds = torch.autograd.gradcheck(lambda o: likelihood.distortion(o, batch(1, 1)), outputs, raise_exception=False)
    expect(holds, "distortion", "the gradient is not its finite difference")


def images_have_the_outputs_shape(likelihood: Likelihood) -> None:
    likelihood = made(likelihood)
    shown = likelihood.images(batch(0) - 0.5)
    expect(shown.shape == (3, 1, 8, 8), "images", f"{tuple(shown.shape)} for outputs of (3, 1, 8, 8)")
    expect(torch.isfinite(shown).all(), "images", "not finite for ordinary outputs")


def what_takes_points_is_a_density(likelihood: Likelihood) -> None:
    """Of one number its integral is 1, and of several independent ones the distortion is the sum."""
    if not likelihood.takes_points:
        return
    likelihood = made(type(likelihood).for_points())
    x = torch.linspace(-40, 40, 40_001, dtype=torch.float64).view(-1, 1, 1, 1)
    alone = likelihood.distortions(torch.full_like(x, 0.7), x)
    total = float(torch.exp(-alone).sum().detach()) * 80 / 40_000
    expect(abs(total - 1) < 1e-3, "distortion", f"the density of a point integrates to {total:.4g}")
    few = torch.randn(3, 2, 1, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found, kept = likelihood.of_pairs(few[:2], few), likelihood.distortions(few[[0, 1, 0]], few[[0, 0, 2]])
    holds = found.shape == (3, 2) and torch.allclose(found[[0, 0, 2], [0, 1, 0]], kept)
    expect(holds, "of_pairs", "is not what `distortions` gives for each pair of data and outputs, (n, k)")
    pair = x[20_100:20_102].view(1, 2, 1, 1)
    together = likelihood.distortion(torch.full_like(pair, 0.7), pair)
    expect(torch.allclose(together, alone[20_100:20_102].sum()), "distortion", "is no sum over a point's numbers")


def the_cheapest_outputs_show_the_images(likelihood: Likelihood) -> None:
    """What costs least looks like the images: a few hundred steps of Adam come to within 0.05 of them."""
    if not likelihood.has_distortion:
        return
    likelihood = made(likelihood)
    x = 0.1 + 0.8 * batch(1)
    outputs = torch.zeros_like(x).requires_grad_()
    optimiser = torch.optim.Adam([outputs], 0.05)
    for step in range(300):
        optimiser.param_groups[0]["lr"] = 0.05 * (1 - step / 300)
        optimiser.zero_grad()
        likelihood.distortion(outputs, x).backward()
        optimiser.step()
    off = float((likelihood.images(outputs).detach() - x).abs().mean())
    expect(off < 0.05, "images", f"the cheapest outputs are {off:.2f} away from the images, on average over pixels")


def what_it_builds_is_learned(likelihood: Likelihood) -> None:
    """The gradient of the distortion in the parameters of `build` is its finite difference, and none is left out."""
    likelihood = made(likelihood)
    if not hasattr(likelihood, "learned"):
        return
    parameters, outputs, x = list(likelihood.learned.double().parameters()), batch(0) - 0.5, batch(1)
    gradients = torch.autograd.grad(likelihood.distortion(outputs, x), parameters, allow_unused=True)
    expect(all(g is not None for g in gradients), "build", "has parameters on which the distortion does not depend")
    slope, step, costs = float(sum(g.sum() for g in gradients)), 1e-5, []
    for sign in (1, -1):
        with torch.no_grad():
            for parameter in parameters:
                parameter.add_(sign * step * (1 if sign > 0 else 2))
        costs.append(float(likelihood.distortion(outputs, x).detach()))
    measured = (costs[0] - costs[1]) / (2 * step)
    holds = abs(measured - slope) <= 1e-4 * max(1.0, abs(slope))
    expect(holds, "build", "the gradient in what it learns is not its finite difference")


CHECKS: tuple[Check, ...] = (
    distortion_is_a_mean_over_images,
    distortions_are_of_each_image,
    images_have_the_outputs_shape,
    gradients_are_finite_differences,
    what_takes_points_is_a_density,
    the_cheapest_outputs_show_the_images,
    what_it_builds_is_learned,
)
