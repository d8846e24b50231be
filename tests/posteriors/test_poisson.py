"""Poisson codes: their divergence by its definition, their stand-ins against closed forms, their place in training."""

import math

import pytest
import torch
from scipy.integrate import quad
from scipy.stats import poisson as exact
from tiny import tiny_images, tiny_recipe

from evae.errors import Diverged, UserError
from evae.likelihoods import SumOfSquares
from evae.models import build_model
from evae.networks import Linear
from evae.posteriors import Poisson
from evae.posteriors.arrivals import BLOCK, INDICATORS, counts, gumbel_counts, most_counts, relaxed_counts
from evae.posteriors.poisson import ESTIMATORS, limited, poisson_kl
from evae.priors import MixturePrior
from evae.recipe import Recipe
from evae.testing.posteriors import made
from evae.training import Training

MANY = 20_000


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def number(value: float) -> torch.Tensor:
    return torch.tensor([value], dtype=torch.float64)


@pytest.mark.parametrize(
    ("prior", "ratio", "nats"),
    [(1, 1, 0.0), (1, 2, 0.3862944), (2, 0.5, 0.3068528), (0.1, 10, 1.4025851), (3, math.e, 3.0)],
)
def test_the_rate_is_the_divergence(prior, ratio, nats):
    found = float(poisson_kl(number(math.log(prior * ratio)), number(math.log(prior))))
    assert found == pytest.approx(nats, abs=1e-7)
    k = range(200)
    by_definition = sum(exact.pmf(k, prior * ratio) * (exact.logpmf(k, prior * ratio) - exact.logpmf(k, prior)))
    assert found == pytest.approx(by_definition, abs=1e-9)


def test_the_rate_keeps_its_digits_close_to_zero():
    u = torch.tensor([1e-3])
    torch.testing.assert_close(poisson_kl(u, torch.zeros(1)), u * u / 2 + u**3 / 3, rtol=2e-4, atol=0)


def test_the_limits_change_ordinary_numbers_little_and_end_extreme_ones():
    x = torch.tensor([-1e4, -4.0, 0.0, 5.3, 1e4], dtype=torch.float64)
    torch.testing.assert_close(limited(x, 5.3)[1:3], x[1:3], rtol=0, atol=6e-3)
    assert limited(x, 5.3)[0] == -16 and limited(x, 5.3)[4] == 5.3
    posterior = made(Poisson(), 1)
    assert float(posterior.mean(torch.full((1, 1), 1e4)).detach()) < 201


def test_counts_are_poisson():
    rates = torch.tensor([0.05, 0.7, 6.0, 90.0]).repeat(MANY, 1)
    drawn = counts(rates, generator())
    assert torch.equal(drawn, drawn.round())
    for k, rate in enumerate(rates[0].tolist()):
        seen = drawn[:, k].numpy()
        # Kolmogorov's distance, 1e-6 of the time above this.
        points = range(int(seen.max()) + 1)
        off = max(abs((seen <= point).mean() - exact.cdf(point, rate)) for point in points)
        assert off < 2.7 / math.sqrt(MANY)


@pytest.mark.parametrize("temperature", [0.05, 0.5, 1.0])
@pytest.mark.parametrize("name", INDICATORS)
def test_stand_ins_have_the_moments_of_campbells_theorem(name, temperature):
    """And with the indicators of compact support the mean is that of counts, in closed form."""
    rate, g = 3.0, INDICATORS[name].value

    def moment(power: int) -> float:
        edges = [1 - temperature, 1, 1 + temperature]
        return quad(lambda t: float(g(number((1 - t) / temperature))) ** power, 0, 12, points=edges, limit=200)[0]

    mean = temperature * math.log1p(math.exp(1 / temperature)) if name == "sigmoid" else 1.0
    assert moment(1) == pytest.approx(mean, rel=1e-4)
    closed = {"linear": 1 / 3, "cubic": 9 / 35, "quintic": 0.2165, "cosine": 1 / 4}
    variance = 1 - closed[name] * temperature if name in closed else moment(2)
    assert moment(2) == pytest.approx(variance, rel=1e-4)
    drawn = relaxed_counts(torch.full((MANY, 1), rate), name, temperature, generator())
    assert float(drawn.mean()) == pytest.approx(rate * mean, abs=5 * math.sqrt(rate * variance / MANY))
    assert float(drawn.var()) == pytest.approx(rate * variance, rel=0.06)


@pytest.mark.parametrize(
    ("rate", "temperature", "mean", "variance"),
    [(3, 0.1, 2.991, 2.65), (3, 0.5, 3.027, 1.64), (1, 1, 1.149, 0.32)],
)
def test_a_gumbel_softmax_is_biased_as_is_known(rate, temperature, mean, variance):
    drawn = gumbel_counts(torch.full((MANY, 1), float(rate)), temperature, generator())
    assert float(drawn.mean()) == pytest.approx(mean, abs=0.05)
    assert float(drawn.var()) == pytest.approx(variance, rel=0.1)


def test_stand_ins_become_counts():
    """Of the same arrivals: those within a thousandth of the end alone are counted otherwise."""
    rates = torch.tensor([0.3, 4.0]).repeat(500, 1)
    for name in INDICATORS:
        soft = relaxed_counts(rates, name, 1e-5, generator())
        assert float((soft - counts(rates, generator())).abs().mean()) < 1e-3


@pytest.mark.parametrize("temperature", [0.1, 1.0])
@pytest.mark.parametrize("name", [name for name in INDICATORS if name != "sigmoid"])
def test_gradients_are_those_of_the_expectation(name, temperature):
    """Of E z^2 = v rate + rate^2 with Campbell's v, whose derivative is v + 2 rate."""
    v = 1 - {"linear": 1 / 3, "cubic": 9 / 35, "quintic": 0.2165, "cosine": 1 / 4}[name] * temperature
    rates = torch.full((MANY, 1), 1.5, dtype=torch.float64, requires_grad=True)
    drawn = relaxed_counts(rates, name, temperature, generator())
    (each,) = torch.autograd.grad(drawn.square().sum(), rates)
    error = float(each.std()) / math.sqrt(MANY)
    assert error < 0.15
    assert float(each.mean()) == pytest.approx(v + 2 * 1.5, abs=5 * error)


def test_as_many_arrivals_are_drawn_as_the_rates_need_and_the_next_draw_does_not_notice():
    first, second = generator(), generator()
    low = counts(torch.full((3, 2), 0.1), first)
    mixed = counts(torch.tensor([[0.1, 0.1], [0.1, 0.1], [0.1, 150.0]]), second)
    assert torch.equal(low.flatten()[:5], mixed.flatten()[:5]) and mixed[2, 1] > 100
    assert torch.equal(torch.rand(3, generator=first), torch.rand(3, generator=second))


@pytest.mark.parametrize("rate", [0.0, 0.1, 1.0, 10.0, 200.0])
def test_the_counts_left_out_are_improbable(rate):
    most = most_counts(rate)
    assert most % BLOCK == 0 and exact.sf(most - 1, rate) < 1e-7


def test_the_temperature_falls_and_stays():
    posterior = Poisson(first_temperature=1.0, temperature=0.2, annealing=0.4)
    found = [posterior.temperature_at(progress) for progress in (0.0, 0.2, 0.4, 0.9)]
    assert found == pytest.approx([1.0, 0.6, 0.2, 0.2])
    assert Poisson(annealing=0.0).temperature_at(0.0) == 0.05


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_step_of_training_takes_stand_ins_and_measuring_counts(estimator):
    posterior = made(Poisson(estimator=estimator, log_rate=2.0), 3)
    heads = torch.ones(20, 3)
    whole = [posterior.sample(heads, generator()), posterior.sample_prior(20, 3, generator())]
    assert all(torch.equal(codes, codes.round()) for codes in whole)
    training = posterior.training_sample(heads, generator(), 0.0)
    assert not torch.equal(training, training.round())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"estimator": "cubik"}, "cubic"),
        ({"temperature": 0.0}, r"from 0.01 to 2, not 0.0: training needs one"),
        ({"first_temperature": math.nan}, "from 0.01 to 2"),
        ({"annealing": 1.5}, "share of the training"),
        ({"log_rate": 6.0}, "at most 4.3, not 6.0: it is the logarithm of a number of spikes"),
        ({"log_rate": -7.0}, "above -6"),
    ],
)
def test_what_cannot_be_is_an_error(given, said):
    with pytest.raises(UserError, match=said):
        Poisson(**given)


@pytest.mark.parametrize("estimator", ["cubic", "gumbel"])
def test_a_model_that_diverges_says_so(estimator):
    training = Training(tiny_recipe(Poisson(estimator=estimator)), tiny_images())
    with torch.no_grad():
        next(training.model.encoder.parameters()).fill_(math.nan)
    with pytest.raises(Diverged):
        training.train_epoch()


def test_the_elbo_is_the_papers_and_no_other_prior_takes_its_place():
    recipe = Recipe(posterior=Poisson(), likelihood=SumOfSquares())
    assert recipe.posterior.has_density(own_prior=True)
    with pytest.raises(UserError, match="poisson posterior has no density"):
        Recipe(posterior=Poisson(), prior=MixturePrior())


def test_what_tells_a_class_is_the_gain():
    """Of which the prior's rates take no part."""
    heads = torch.tensor([[-1.0, 0.0, 2.0]])
    torch.testing.assert_close(made(Poisson(), 3).representation(heads), heads, rtol=0, atol=1e-3)


def test_the_exact_distortion_is_the_mean_over_counts():
    """And its step of training has no noise."""
    posterior = Poisson(estimator="exact", log_rate=1.0)
    model = build_model(posterior, Linear(), 4, 1, 3, seed=0, likelihood=SumOfSquares())
    x = torch.rand(2, 1, 4, 4, generator=generator()).repeat(MANY, 1, 1, 1)
    terms = [model(x[:2], generator(seed), progress=0.5)["distortion"] for seed in range(2)]
    assert terms[0] == terms[1]
    with torch.no_grad():
        each = (model.decoder(model.posterior.sample(model.encode(x), generator())) - x).square().sum((1, 2, 3))
    error = float(each.std()) / math.sqrt(len(each))
    assert float(terms[0].detach()) == pytest.approx(float(each.mean()), abs=5 * error) and error < 0.01


def test_it_is_only_known_for_a_linear_decoder_and_squared_errors():
    exact = Poisson(estimator="exact")
    Recipe(posterior=exact, network=Linear(), likelihood=SumOfSquares())
    for given in ({"network": Linear()}, {"likelihood": SumOfSquares()}):
        with pytest.raises(UserError, match="take linear and sum_of_squares, or another estimator"):
            Recipe(posterior=exact, **given)
