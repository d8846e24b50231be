"""What every posterior family has to do: each check takes one with its hyperparameters."""

import math
from functools import partial

import torch
from torch import Tensor, nn

from evae.posteriors.base import Posterior, Recent
from evae.ranks import Ranks
from evae.testing.contract import Check, expect

LATENT = 3
MANY = 40_000


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def heads(posterior: Posterior, n: int = 4, dtype: torch.dtype = torch.float64) -> Tensor:
    """What an encoder could yield: (n, heads * latent)."""
    return torch.randn(n, posterior.heads * LATENT, generator=generator(7), dtype=dtype)


def made(posterior: Posterior, latent: int = LATENT) -> Posterior:
    """The posterior with what it learns beside the encoder, if that is anything, as training begins."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        module = posterior.build(latent)
    if module is None:
        return posterior
    expect(isinstance(module, nn.Module), "build", f"returns {type(module).__name__} instead of a torch module")
    return posterior.with_learned(module)


def terms(posterior: Posterior, given: Tensor, recent: Recent | None = None) -> dict[str, Tensor]:
    return posterior.terms(given, Ranks().share(len(given)), recent)


def shapes_and_dtypes(posterior: Posterior) -> None:
    """Codes and rates are (n, latent), finite, and of the heads' type, in single and in double precision."""
    posterior = made(posterior)
    for dtype in (torch.float32, torch.float64):
        given = heads(posterior, 5, dtype)
        found = {"sample": posterior.sample(given, generator()), "mean": posterior.mean(given)}
        found |= {"std": posterior.std(given)}
        found |= {"training_sample": posterior.training_sample(given, generator(), 0.5)}
        if posterior.rate_is != "none":
            found["rate"] = posterior.rate(given)
        for method, result in found.items():
            expect(result.shape == (5, LATENT), method, f"{tuple(result.shape)} instead of (n, latent), (5, {LATENT})")
            expect(result.dtype == dtype, method, f"{result.dtype} for heads of {dtype}")
            expect(torch.isfinite(result).all(), method, "not finite for ordinary heads")
    drawn = posterior.sample_prior(6, LATENT, generator())
    expect(drawn.shape == (6, LATENT), "sample_prior", f"{tuple(drawn.shape)} instead of (6, {LATENT})")


def samples_have_the_moments_it_says(posterior: Posterior) -> None:
    """The mean and standard deviation of many samples are those of `mean` and `std`."""
    posterior = made(posterior)
    given = heads(posterior, 2)
    samples = posterior.sample(given.repeat(MANY, 1), generator()).view(MANY, 2, LATENT)
    mean, std = posterior.mean(given), posterior.std(given)
    # Five standard errors (with a kurtosis of 6, or what the samples say), and rounding where there is no noise.
    off = (samples.mean(0) - mean).abs()
    expect((off <= 5 * std / math.sqrt(MANY) + 1e-12).all(), "mean", "is not that of samples")
    off = (samples.std(0) - std).abs()
    error = std * torch.sqrt((kurtosis(samples).clamp(min=6) - 1) / (4 * MANY))
    expect((off <= 5 * error + 1e-12).all(), "std", "is not that of samples")


def kurtosis(samples: Tensor) -> Tensor:
    """Along the first dimension; 0 of constants."""
    away = samples - samples.mean(0)
    return (away**4).mean(0) / away.square().mean(0).square().clamp(min=1e-300)


def prior_has_the_moments_it_says(posterior: Posterior) -> None:
    posterior = made(posterior, 2)
    samples = posterior.sample_prior(MANY, 2, generator()).detach().double()
    mean, std = (torch.as_tensor(moment).detach() for moment in (posterior.prior_mean, posterior.prior_std))
    off = (samples.mean(0) - mean).abs()
    expect((off <= 5 * std / math.sqrt(MANY)).all(), "prior_mean", f"{mean} is not the mean of prior samples")
    error = torch.sqrt((kurtosis(samples) - 1) / (4 * MANY)).clamp(min=0.006)
    near = ((samples.std(0) / std - 1).abs() <= 5 * error).all()
    expect(near, "prior_std", f"{std} is not the standard deviation of prior samples")


def randomness_comes_from_the_generator(posterior: Posterior) -> None:
    """The same generator gives the same draws, and another gives others."""
    posterior = made(posterior)
    given = heads(posterior, 100)

    def drawn(seed: int) -> dict[str, Tensor]:
        return {
            "sample": posterior.sample(given, generator(seed)),
            "training_sample": posterior.training_sample(given, generator(seed), 0.5),
            "sample_prior": posterior.sample_prior(100, LATENT, generator(seed)),
        }

    first, again, other = drawn(0), drawn(0), drawn(1)
    for method, numbers in first.items():
        expect(torch.equal(numbers, again[method]), method, "ignores its generator: the same seed gives other numbers")
        if method == "training_sample" and posterior.trains_on_expectation:
            continue
        if method == "sample_prior" or posterior.std(given).any():
            differs = not torch.equal(numbers, other[method])
            expect(differs, method, "ignores its generator: another seed gives the same numbers")


def densities_make_the_rate(posterior: Posterior) -> None:
    """On average over samples, ln q - ln p of each latent is the exact rate."""
    posterior = made(posterior)
    if posterior.rate_is == "exact" and posterior.has_density(own_prior=True):
        given = heads(posterior, 2)
        many = given.repeat(MANY, 1)
        codes = posterior.sample(many, generator())
        ratios = posterior.log_density(many, codes) - posterior.prior_log_density(codes)
        expect(ratios.shape == codes.shape, "log_density", f"{tuple(ratios.shape)} for codes of {tuple(codes.shape)}")
        ratios = ratios.view(MANY, 2, LATENT)
        off = (ratios.mean(0) - posterior.rate(given)).abs()
        holds = (off <= 5 * ratios.std(0) / math.sqrt(MANY) + 1e-9).all()
        expect(holds, "log_density", "its mean less that of `prior_log_density`, over samples, is not the rate")


def latents_and_images_are_drawn_independently(posterior: Posterior) -> None:
    posterior = made(posterior, 2)
    given = torch.zeros(20_000, posterior.heads * 2, dtype=torch.float64)
    noise = posterior.sample(given, generator())
    if posterior.std(given).any():
        apart = [noise[:, 0], noise[:, 0].roll(1), *([noise[:, 1]] if posterior.independent else [])]
        off = (torch.corrcoef(torch.stack(apart)) - torch.eye(len(apart), dtype=torch.float64)).abs().max()
        expect(off < 5 / math.sqrt(20_000), "sample", "draws of different latents or images are correlated")


def gradients_are_finite_differences(posterior: Posterior) -> None:
    """Of the draws that training takes, the rate and the terms, in the heads."""
    posterior = made(posterior)
    given = heads(posterior, 6).requires_grad_()
    relaxed = type(posterior).training_sample is not Posterior.training_sample
    found = [("sample", lambda h: posterior.sample(h, generator()))]
    if relaxed:
        for share in (0.0, 0.3, 0.99):
            draw = partial(posterior.training_sample, progress=share)
            found.append(("training_sample", lambda h, draw=draw: draw(h, generator())))
        found = found[1:]
    if posterior.rate_is != "none":
        found += [("rate", posterior.rate), ("terms", lambda h: tuple(terms(posterior, h).values()))]
    for method, function in found:
        holds = torch.autograd.gradcheck(function, given, raise_exception=False)
        expect(holds, method, "the gradient is not its finite difference")


def what_it_builds_is_learned(posterior: Posterior) -> None:
    """The gradient of the loss in the parameters of `build` is its finite difference, and none is left out."""
    posterior = made(posterior)
    if not hasattr(posterior, "learned"):
        return
    parameters, given = list(posterior.learned.double().parameters()), heads(posterior, 6)
    if not parameters:
        return

    def loss() -> Tensor:
        weighted = [weight * terms(posterior, given)[name] for name, weight in posterior.weights.items()]
        return sum(weighted) + posterior.training_sample(given, generator(), 0.3).square().sum()

    gradients = torch.autograd.grad(loss(), parameters, allow_unused=True)
    used = all(gradient is not None for gradient in gradients)
    expect(used, "build", "has parameters on which neither the terms nor a draw of training depend")
    towards = [torch.randn(p.shape, generator=generator(3), dtype=p.dtype) for p in parameters]
    slope = float(sum((g * d).sum() for g, d in zip(gradients, towards, strict=True)))
    moved = []
    with torch.no_grad():
        for step in (1e-6, -2e-6):
            for parameter, direction in zip(parameters, towards, strict=True):
                parameter += step * direction
            moved.append(float(loss()))
    found = (moved[0] - moved[1]) / 2e-6
    holds = math.isclose(slope, found, rel_tol=1e-4, abs_tol=1e-6)
    expect(holds, "build", f"the gradient in its parameters, {slope:.6g}, is not its finite difference, {found:.6g}")


def terms_are_nats_per_image(posterior: Posterior) -> None:
    """One number each; `weights` names terms that are there; `rate` is the latents' sum, averaged over images."""
    posterior = made(posterior)
    given = heads(posterior)
    found = terms(posterior, given)
    expect(found.keys() >= posterior.weights.keys(), "weights", "names a term that `terms` does not have")
    for name, value in found.items():
        one = value.shape == () and value.dtype == given.dtype
        expect(one, "terms", f"{name} is not one number of the heads' type")
    if posterior.rate_is != "none":
        mean = posterior.rate(given).sum(1).mean()
        expect(torch.allclose(found["rate"], mean), "terms", "`rate` is not that of `rate`, summed over latents")


def extreme_heads_give_finite_terms(posterior: Posterior) -> None:
    """What an encoder may yield early in training, in single precision; equal heads, and one image alone."""
    extremes = torch.tensor([-40.0, -5.0, 0.0, 5.0, 40.0])
    posterior, family = made(posterior), made(posterior, len(extremes))
    given = extremes.repeat(family.heads)[None].requires_grad_()
    total = family.training_sample(given, generator(), 0.5).sum()
    if posterior.rate_is != "none":
        total = total + family.rate(given).sum()
    (gradient,) = torch.autograd.grad(total, given)
    expect(torch.isfinite(total) and torch.isfinite(gradient).all(), "rate", "not finite for heads of -40 to 40")
    for n in (1, 5):
        given = heads(posterior, 1, torch.float32).repeat(n, 1).requires_grad_()
        total = sum(terms(posterior, given).values(), torch.zeros(()))
        gradient = torch.autograd.grad(total, given)[0] if total.requires_grad else torch.zeros(1)
        holds = torch.isfinite(total) and torch.isfinite(gradient).all()
        expect(holds, "terms", f"not finite for {n} image(s) with equal heads")


def an_exact_rate_is_never_negative(posterior: Posterior) -> None:
    posterior = made(posterior)
    if posterior.rate_is == "exact":
        given = 2 * torch.randn(2_000, posterior.heads * LATENT, generator=generator(), dtype=torch.float64)
        expect(posterior.rate(given).min() >= 0, "rate", 'negative, which a KL divergence ("exact") never is')


CHECKS: tuple[Check, ...] = (
    shapes_and_dtypes,
    randomness_comes_from_the_generator,
    terms_are_nats_per_image,
    extreme_heads_give_finite_terms,
    an_exact_rate_is_never_negative,
    samples_have_the_moments_it_says,
    prior_has_the_moments_it_says,
    densities_make_the_rate,
    latents_and_images_are_drawn_independently,
    gradients_are_finite_differences,
    what_it_builds_is_learned,
)
