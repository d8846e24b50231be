"""The mixture posterior: the official code's numbers, its mixtures of every size, and the bias of small ones."""

import math
from dataclasses import replace

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from evae.errors import UserError
from evae.posteriors import Mixture, Recent
from evae.ranks import Ranks

LATENT = 3


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def heads(n: int, seed: int = 0, latent: int = LATENT) -> torch.Tensor:
    return torch.randn(n, 2 * latent, generator=generator(seed), dtype=torch.float64)


def codes(mu: list[float], variance: float = 1.0) -> torch.Tensor:
    """Heads of one latent."""
    return torch.tensor([[m, math.log(variance)] for m in mu], dtype=torch.float64)


def terms(posterior: Mixture, given: torch.Tensor, recent: Recent | None = None) -> dict[str, torch.Tensor]:
    return posterior.terms(given, Ranks().share(len(given)), recent)


def population(posterior: Mixture, given: torch.Tensor, recent: Recent | None = None) -> torch.Tensor:
    return terms(posterior, given, recent)["population"]


def none_yet() -> torch.Tensor:
    return heads(0)


@pytest.mark.parametrize(
    ("mu", "nats"),
    [([-1.0, 1.0], 0.0), ([-math.sqrt(0.5), math.sqrt(0.5)], 0.0965736), ([0.0, 2.0], 0.5)],
)
def test_population_of_two_points_is_the_papers(mu, nats):
    assert float(population(Mixture(), codes(mu))) == pytest.approx(nats, abs=1e-7)


@pytest.mark.parametrize(("variance", "nats"), [(1.0, 0.0), (0.5, 0.0193147), (0.1, 0.1402585), (0.01, 0.3615170)])
def test_individual_with_the_official_weight_is_the_papers(variance, nats):
    posterior = Mixture()
    found = terms(posterior, codes([0.3, -2.0, 5.0], variance))["individual"]
    assert float(posterior.weights["individual"] * found) == pytest.approx(nats, abs=1e-7)


def test_individual_is_twice_the_divergence_of_a_centred_gaussian():
    given = heads(20)
    std = Mixture().std(given)
    expected = 2 * kl_divergence(Normal(torch.zeros_like(std), std), Normal(0, 1)).sum(1).mean()
    torch.testing.assert_close(terms(Mixture(), given)["individual"], expected)


@pytest.mark.parametrize("reading", ["means", "moments"])
def test_population_is_the_divergence_of_a_gaussian_with_the_mixtures_moments(reading):
    """The moments by drawing from the mixture, or from its means alone."""
    posterior, given, n = Mixture(reading=reading), heads(7), 300_000
    drawn = given.repeat(n // 7, 1)
    z = posterior.mean(drawn) if reading == "means" else posterior.sample(drawn, generator())
    expected = kl_divergence(Normal(z.mean(0), z.std(0, correction=0)), Normal(0, 1)).sum()
    assert float(population(posterior, given)) == pytest.approx(float(expected), rel=0.01)


def test_the_mixtures_divergence_lies_between_that_of_its_moments_and_the_mean_rate():
    """Numerically, in one latent: the term is the least of the three, and the mean rate the largest."""
    given = heads(5, latent=1)
    posterior = Mixture(reading="moments")
    z = torch.linspace(-12, 12, 20_001, dtype=torch.float64)
    density = Normal(posterior.mean(given), posterior.std(given)).log_prob(z).exp().mean(0)
    log_prior = Normal(0.0, 1.0).log_prob(z)
    mixture = torch.trapezoid(density * (density.log() - log_prior), z)
    assert float(population(posterior, given)) <= float(mixture) <= float(posterior.rate(given).mean())


@pytest.mark.parametrize(("n", "nats"), [(10, 0.1108), (20, 0.0525), (100, 0.0101)])
def test_bias_of_few_codes_is_the_papers_and_its_correction_removes_it(n, nats):
    latent = 2_000_000 // n
    mu = torch.randn(n, latent, generator=generator(), dtype=torch.float64)
    given = torch.cat([mu, torch.full_like(mu, -60.0)], 1)
    error = 5 * float(Mixture().divergence(given).std()) / math.sqrt(latent)
    as_is = float(population(Mixture(), given)) / latent
    assert as_is == pytest.approx(nats, abs=error + 1e-4)
    for reading in ("means", "moments"):
        corrected = float(population(Mixture(unbiased=True, reading=reading), given)) / latent
        assert abs(corrected) < error < nats / 5
        assert as_is - corrected == pytest.approx(nats, abs=6e-4)


def test_the_correction_is_right_for_other_means_and_variances_too():
    n, latent = 8, 200_000
    mu = 0.7 + 1.8 * torch.randn(n, latent, generator=generator(), dtype=torch.float64)
    expected = float(kl_divergence(Normal(0.7, 1.8), Normal(0, 1)))
    each = Mixture(unbiased=True).divergence(torch.cat([mu, torch.zeros_like(mu)], 1))
    assert float(each.mean()) == pytest.approx(expected, abs=5 * float(each.std()) / math.sqrt(latent))


@pytest.mark.parametrize("variance", [0.1, 0.5, 2.0])
def test_with_noise_the_correction_leaves_a_tenth_of_the_bias_or_less(variance):
    n, latent = 10, 400_000
    mu = torch.randn(n, latent, generator=generator(), dtype=torch.float64)
    given = torch.cat([mu, torch.full_like(mu, math.log(variance))], 1)
    expected = float(kl_divergence(Normal(0, math.sqrt(1 + variance)), Normal(0, 1)))
    off = {
        unbiased: float(Mixture(reading="moments", unbiased=unbiased).divergence(given).mean()) - expected
        for unbiased in (False, True)
    }
    assert abs(off[True]) < 0.1 * abs(off[False]) + 1e-3


def test_by_the_means_the_correction_changes_no_gradient():
    given = heads(6).requires_grad_()
    plain, corrected = (
        torch.autograd.grad(population(Mixture(unbiased=unbiased), given), given)[0] for unbiased in (False, True)
    )
    torch.testing.assert_close(plain, corrected, rtol=1e-6, atol=1e-8)


def test_a_mixture_of_the_batchs_size_is_the_batch():
    given = heads(6)
    assert torch.equal(population(Mixture(mixture_size=6), given), population(Mixture(), given))


def test_a_batch_is_cut_in_mixtures_in_order():
    given = heads(8)
    parts = [population(Mixture(), part) for part in given.split(4)]
    torch.testing.assert_close(population(Mixture(mixture_size=4), given), torch.stack(parts).mean())


def test_a_remainder_is_filled_with_the_codes_before_it():
    given, small = heads(10), Mixture(mixture_size=4)
    parts = [population(Mixture(), part) for part in (given[:4], given[4:8], given[6:])]
    expected = (4 * parts[0] + 4 * parts[1] + 2 * parts[2]) / 10
    torch.testing.assert_close(population(small, given), expected)


def test_a_mixture_larger_than_the_batch_is_filled_with_the_most_recent_codes():
    batches, posterior, recent = heads(12).split(3), Mixture(mixture_size=8), Recent(8, none_yet())
    found = [population(posterior, batch, recent) for batch in batches]
    seen = torch.cat(batches)
    expected = [population(Mixture(), seen[max(0, stop - 8) : stop]) for stop in (3, 6, 9, 12)]
    torch.testing.assert_close(torch.stack(found), torch.stack(expected))
    assert torch.equal(recent.heads, seen[4:])


def test_recent_codes_have_no_gradient_and_the_others_that_of_the_whole_mixture():
    """Each image pulls as hard as if its batch were scaled up to the mixture's size."""
    before, given = heads(9, seed=1), heads(3).requires_grad_()
    recent = Recent(12, none_yet())
    recent.push(before.clone().requires_grad_())
    assert not recent.heads.requires_grad
    (found,) = torch.autograd.grad(population(Mixture(mixture_size=12), given, recent), given)
    together = torch.cat([before, given.detach()]).requires_grad_()
    (whole,) = torch.autograd.grad(population(Mixture(), together), together)
    torch.testing.assert_close(found, 12 / 3 * whole[9:])


def test_without_recent_codes_a_small_batch_is_a_small_mixture():
    given = heads(3)
    assert torch.equal(population(Mixture(mixture_size=8), given), population(Mixture(), given))


@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize("n", [1, 2, 9])
def test_identical_codes_cost_8_7_nats_and_no_infinity(n, unbiased):
    given = codes([0.0] * n).float().requires_grad_()
    cost = population(Mixture(unbiased=unbiased), given)
    assert float(cost.detach()) == pytest.approx(0.5 * (math.log(1e8) - 1), abs=1e-3)
    (gradient,) = torch.autograd.grad(cost, given)
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize(("reading", "variance", "of_means"), [("means", 2.0, 1.0), ("moments", 1.0, 0.0)])
def test_at_its_optimum_sampled_codes_have_the_variance_it_says(reading, variance, of_means):
    """Free heads, trained on the two terms alone."""
    posterior = Mixture(reading=reading)
    given = (0.3 * heads(200)).requires_grad_()
    optimiser = torch.optim.Adam([given], 0.05)
    for _ in range(400):
        found = terms(posterior, given)
        optimiser.zero_grad()
        sum(weight * found[name] for name, weight in posterior.weights.items()).backward()
        optimiser.step()
    z = posterior.sample(given.detach().repeat(200, 1), generator())
    assert z.var(0).mean() == pytest.approx(variance, rel=0.05)
    assert posterior.mean(given.detach()).var(0).mean() == pytest.approx(of_means, abs=0.05)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"mixture_size": 1}, "mixture_size must be at least 2, got 1.*gaussian posterior"),
        ({"mixture_size": 0}, "mixture_size must be at least 2, got 0: leave it out"),
        ({"mixture_size": -3}, "mixture_size"),
        ({"reading": "moment"}, "reading 'moment'.*'moments'"),
        ({"population_beta": -1.0}, "population_beta"),
        ({"individual_beta": math.nan}, "individual_beta"),
        ({"beta": 0.5}, "population_beta and individual_beta: leave beta out"),
    ],
    ids=str,
)
def test_a_value_outside_its_range_is_a_user_error(given, named):
    with pytest.raises(UserError, match=named):
        replace(Mixture(), **given)
