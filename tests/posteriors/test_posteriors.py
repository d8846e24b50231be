"""The conformance suite that every posterior family inherits."""

import math

import pytest
import torch

from evae.errors import UserError
from evae.kernels import KERNELS
from evae.posteriors import Autoencoder, Evae, Gaussian, KernelKL, Mixture, Posterior, Recent
from evae.posteriors import posterior as families
from evae.ranks import Ranks

COMPACT = [name for name, kernel in KERNELS.items() if math.isfinite(kernel.support)]
CASES = [
    Autoencoder(),
    Gaussian(),
    Gaussian(beta=0.1),
    *(Evae(kernel=name) for name in KERNELS),
    Evae(prior="gaussian", prior_width=0.5),
    Evae(bandwidth=2.0, prior_width=10.0, sample_size=7, beta=3.0),
    Evae(kernel="laplace", equal_variance=False),
    *(KernelKL(kernel=name) for name in KERNELS),
    *(KernelKL(kernel=name, prior="uniform") for name in COMPACT),
    Mixture(),
    Mixture(reading="moments"),
    Mixture(reading="moments", unbiased=True, mixture_size=3, population_beta=2.0),
]
every_posterior = pytest.mark.parametrize("posterior", CASES, ids=repr)
LATENT = 3


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def heads(posterior: Posterior, n: int = 4, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(n, posterior.heads * LATENT, generator=generator(7), dtype=dtype)


def test_every_family_is_registered_under_its_name_and_tested_here():
    assert {cls.family: cls for cls in families.values()} == families
    assert {type(posterior) for posterior in CASES} == set(families.values())


@every_posterior
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shapes_and_dtypes(posterior, dtype):
    given = heads(posterior, 5, dtype)
    results = [posterior.sample(given, generator()), posterior.mean(given), posterior.std(given)]
    for result in [*results, posterior.rate(given)]:
        assert result.shape == (5, LATENT)
        assert result.dtype == dtype
        assert torch.isfinite(result).all()
    assert posterior.sample_prior(6, LATENT, generator()).shape == (6, LATENT)


@every_posterior
def test_samples_have_the_mean_and_standard_deviation_it_says(posterior):
    given, n = heads(posterior, 2), 40_000
    samples = posterior.sample(given.repeat(n, 1), generator()).view(n, 2, LATENT)
    mean, std = posterior.mean(given), posterior.std(given)
    # Five standard errors (their kurtosis is at most 6), and rounding where there is no noise.
    assert ((samples.mean(0) - mean).abs() <= 5 * std / math.sqrt(n) + 1e-12).all()
    assert ((samples.std(0) - std).abs() <= 5 * std * math.sqrt(5 / (4 * n)) + 1e-12).all()


@every_posterior
def test_prior_has_the_standard_deviation_it_says(posterior):
    samples = posterior.sample_prior(40_000, 2, generator())
    assert samples.mean(0).abs().max() <= 5 * posterior.prior_std / 200
    assert samples.std(0) == pytest.approx(posterior.prior_std, rel=0.03)


@every_posterior
def test_same_generator_same_samples(posterior):
    given = heads(posterior)
    assert torch.equal(posterior.sample(given, generator()), posterior.sample(given, generator()))
    assert torch.equal(posterior.sample_prior(3, 2, generator()), posterior.sample_prior(3, 2, generator()))
    assert not torch.equal(posterior.sample_prior(3, 2, generator()), posterior.sample_prior(3, 2, generator(1)))


@every_posterior
def test_latents_and_images_are_drawn_independently(posterior):
    if posterior.rate_is == "none":
        pytest.skip("its codes carry no noise")
    given = torch.zeros(20_000, posterior.heads * 2, dtype=torch.float64)
    noise = posterior.sample(given, generator())
    pairs = torch.stack([noise[:, 0], noise[:, 1], noise[:, 0].roll(1)])
    assert (torch.corrcoef(pairs) - torch.eye(3, dtype=torch.float64)).abs().max() < 5 / math.sqrt(20_000)


@every_posterior
def test_the_gradient_of_a_sample_is_its_finite_difference(posterior):
    given = heads(posterior).requires_grad_()
    assert torch.autograd.gradcheck(lambda h: posterior.sample(h, generator()), given)


@every_posterior
def test_the_gradient_of_the_rate_is_its_finite_difference(posterior):
    if posterior.rate_is == "none":
        assert posterior.rate(heads(posterior)).count_nonzero() == 0
        return
    given = heads(posterior).requires_grad_()
    assert torch.autograd.gradcheck(posterior.rate, given)


def terms(posterior: Posterior, given: torch.Tensor, recent: Recent | None = None) -> dict[str, torch.Tensor]:
    return posterior.terms(given, Ranks().share(len(given)), recent)


@every_posterior
def test_terms_are_nats_per_image_and_every_weight_has_its_term(posterior):
    given = heads(posterior)
    found = terms(posterior, given)
    assert found.keys() >= posterior.weights.keys()
    torch.testing.assert_close(found["rate"], posterior.rate(given).sum(1).mean())
    assert all(value.shape == () and value.dtype == given.dtype for value in found.values())


@every_posterior
def test_the_gradient_of_the_terms_is_their_finite_difference(posterior):
    if posterior.rate_is == "none":
        return
    given = heads(posterior, 6).requires_grad_()
    assert torch.autograd.gradcheck(lambda h: tuple(terms(posterior, h).values()), given)


@every_posterior
@pytest.mark.parametrize("n", [1, 5])
def test_equal_heads_and_one_image_alone_give_finite_terms(posterior, n):
    given = heads(posterior, 1, torch.float32).repeat(n, 1).requires_grad_()
    total = sum(terms(posterior, given).values())
    (gradient,) = torch.autograd.grad(total, given) if total.requires_grad else (torch.zeros(1),)
    assert torch.isfinite(total) and torch.isfinite(gradient).all()


@every_posterior
def test_heads_of_any_size_give_finite_terms_in_single_precision(posterior):
    """What an encoder may yield early in training: widths underflow and saturate without NaN or infinity."""
    given = torch.tensor([-40.0, -5.0, 0.0, 5.0, 40.0]).repeat(posterior.heads)[None].requires_grad_()
    total = posterior.sample(given, generator()).sum() + posterior.rate(given).sum()
    (gradient,) = torch.autograd.grad(total, given)
    assert torch.isfinite(total)
    assert torch.isfinite(gradient).all()


@every_posterior
def test_an_exact_rate_is_never_negative(posterior):
    if posterior.rate_is == "exact":
        given = 2 * torch.randn(2_000, 2 * LATENT, generator=generator(), dtype=torch.float64)
        assert posterior.rate(given).min() >= 0


@pytest.mark.parametrize("cls", [Gaussian, Evae, KernelKL])
def test_a_negative_beta_is_an_error(cls):
    with pytest.raises(UserError, match=r"beta .* at least 0, not -1"):
        cls(beta=-1.0)
    assert cls(beta=0.0).beta == 0


def test_beta_of_an_autoencoder_is_an_error():
    with pytest.raises(UserError, match="leave beta out"):
        Autoencoder(beta=0.5)
