"""The conformance suite that every posterior family inherits."""

import math

import pytest
import torch

from evae.errors import UserError
from evae.kernels import KERNELS
from evae.posteriors import (
    RAE,
    Autoencoder,
    Categorical,
    Evae,
    Gaussian,
    GaussianExp,
    GaussianRelu,
    KernelKL,
    Laplace,
    Mixture,
    Poisson,
)
from evae.posteriors import posterior as families
from evae.posteriors.poisson import ESTIMATORS
from evae.testing.posteriors import CHECKS

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
    RAE(),
    Laplace(),
    GaussianRelu(beta=0.3),
    GaussianExp(beta=0.3),
    Categorical(temperature=0.3),
    RAE(beta=2.0, decoder_decay=0.1),
    *(Poisson(estimator=name) for name in (*ESTIMATORS, "exact")),
    Poisson(log_rate=2.0, temperature=1.0),
]
every_posterior = pytest.mark.parametrize("posterior", CASES, ids=repr)


def test_every_family_is_registered_under_its_name_and_tested_here():
    assert {cls.family: cls for cls in families.values()} == families
    assert {type(posterior) for posterior in CASES} == set(families.values())


@every_posterior
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_it_keeps_its_contract(posterior, check):
    check(posterior)


def has_exact_rate_against_a_standard_normal(posterior):
    return (
        posterior.has_density(own_prior=False)
        and getattr(posterior, "prior", "gaussian") == "gaussian"
        and posterior.family not in ("laplace", "gaussian_exp")
    )


@pytest.mark.parametrize("posterior", [*filter(has_exact_rate_against_a_standard_normal, CASES)], ids=repr)
def test_the_log_density_is_that_of_samples(posterior):
    """ln q(z) - ln N(z; 0, 1), averaged over samples of q, is the exact rate against N(0, 1)."""
    given = torch.randn(1, posterior.heads * 2, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    many = given.repeat(40_000, 1)
    codes = posterior.sample(many, torch.Generator().manual_seed(0))
    estimated = posterior.log_density(many, codes) - torch.distributions.Normal(0.0, 1.0).log_prob(codes)
    error = estimated.std(0) / 200
    assert ((estimated.mean(0) - posterior.rate(given)[0]).abs() < 5 * error + 1e-9).all()


@pytest.mark.parametrize("cls", [Gaussian, Evae, KernelKL, RAE, Poisson])
def test_a_negative_beta_is_an_error(cls):
    with pytest.raises(UserError, match=r"beta .* at least 0, not -1"):
        cls(beta=-1.0)
    assert cls(beta=0.0).beta == 0


def test_beta_of_an_autoencoder_is_an_error():
    with pytest.raises(UserError, match="leave beta out"):
        Autoencoder(beta=0.5)
