"""Densities on code maps: where numbers stand, a mixture along few directions, a small prior, and what is too large."""

import math

import pytest
import torch
from scipy.stats import multivariate_normal

from evae.densities import Flow, FlowMatching, GaussianDensity, MixtureDensity, SecondStage
from evae.densities.base import Layout
from evae.densities.low_rank import LowRank, leading
from evae.densities.velocity import Velocity
from evae.errors import UserError
from evae.networks.lite_vae import LiteVae
from evae.recipe import Evaluation, Recipe
from evae.study.run import densities_said
from evae.testing.densities import generator

SHAPE = (2, 4, 4)


def maps(n: int = 300, seed: int = 0, apart: float = 2.0) -> torch.Tensor:
    """(n, 32) codes whose numbers go with their neighbours, two clusters of them; one number is constant."""
    coarse = torch.randn(n, 2, 2, 2, generator=generator(seed))
    coarse[: n // 2] += apart
    fine = coarse.repeat_interleave(2, 2).repeat_interleave(2, 3).flatten(1)
    codes = fine + 0.3 * torch.randn(n, 32, generator=generator(seed + 1))
    codes[:, 5] = 1.5
    return codes


def test_numbers_stand_where_they_were():
    codes = maps(6)
    layout = Layout(SHAPE, codes.std(0) > 0)
    placed = layout.place(codes[:, layout.varying])
    assert placed.shape == (6, *SHAPE)
    expected = codes.clone()
    expected[:, 5] = 0
    torch.testing.assert_close(placed, expected.view(6, *SHAPE))
    torch.testing.assert_close(layout.take(placed), codes[:, layout.varying])
    assert Layout((7,), torch.ones(7, dtype=torch.bool)).as_map == (7, 1, 1)


@pytest.mark.parametrize("numbers", [12, 80])  # fewer than codes, and more
def test_leading_directions_are_those_of_the_covariance(numbers):
    codes = torch.randn(50, numbers, generator=generator(), dtype=torch.float64)
    codes = (codes * torch.linspace(3, 0.1, numbers)) - (codes * torch.linspace(3, 0.1, numbers)).mean(0)
    directions, across = leading(codes, 4)
    torch.testing.assert_close(directions.T @ directions, torch.eye(4, dtype=torch.float64), atol=1e-9, rtol=0)
    covariance = codes.T @ codes / 50
    largest = torch.linalg.eigvalsh(covariance).flip(0)
    torch.testing.assert_close((directions.T @ covariance @ directions).diagonal(), largest[:4])
    torch.testing.assert_close(float(across), float(largest[4:].sum() / (numbers - 4)))


def test_one_component_along_few_directions_is_the_gaussian_with_that_covariance():
    found = MixtureDensity(components=1, directions=3).fit(maps(), generator(), SHAPE)
    of = found.estimate
    assert isinstance(of, LowRank)
    (factor,) = of.along.factors
    u = of.directions
    covariance = u @ factor @ factor.T @ u.T + of.across * (torch.eye(31, dtype=torch.float64) - u @ u.T)
    codes = found.scaling.standardise(maps(20, seed=5))
    oracle = multivariate_normal((u @ of.along.means[0]).numpy(), covariance.numpy())
    torch.testing.assert_close(of.log_density(codes), torch.from_numpy(oracle.logpdf(codes.numpy())))
    drawn = of.sample(40_000, generator())
    torch.testing.assert_close(torch.cov(drawn.T), covariance, atol=0.05, rtol=0)


@pytest.mark.parametrize("density", [MixtureDensity(components=3, directions=4), FlowMatching(width=8, steps=20)])
def test_state_brings_a_density_of_maps_back(density):
    one = density.fit(maps(), generator(), SHAPE)
    back = density.restore({name: value.clone() for name, value in one.state().items()})
    drawn = one.sample(7, generator())
    torch.testing.assert_close(drawn, back.sample(7, generator()), rtol=0, atol=0)
    assert one.held_out(maps(40, 9)) == back.held_out(maps(40, 9))
    known = maps()
    assert drawn.shape == (7, 32) and bool(((drawn >= known.amin(0)) & (drawn <= known.amax(0))).all())
    assert bool((drawn[:, 5] == 1.5).all())


def test_a_mixture_along_as_many_directions_as_numbers_is_the_usual_one():
    density, codes = MixtureDensity(components=2), maps()[:, :6]
    plain, of_map = density.fit(codes, generator()), density.fit(codes, generator(), (6, 1, 1))
    assert torch.equal(plain.log_density(codes), of_map.log_density(codes))
    few = density.fit(codes, generator(), (1, 2, 3))
    assert torch.equal(plain.log_density(codes), few.log_density(codes))


def test_few_codes_have_few_directions():
    found = MixtureDensity(components=5).fit(maps(60), generator(), SHAPE)
    assert found.estimate.directions.shape[1] == 6
    assert found.held_out(maps(100, seed=3))["heldout_nats"] < 5


def test_held_out_codes_are_explained_better_than_by_numbers_apart():
    given, other = maps(600, apart=0.0), maps(200, seed=7, apart=0.0)
    nats = MixtureDensity(components=2).fit(given, generator(), SHAPE).held_out(other)["heldout_nats"]
    assert nats < 0.5 * math.log(2 * math.pi * math.e) - 0.3
    prior = FlowMatching(width=12, steps=120).fit(given, generator(), SHAPE)
    loss = prior.held_out(other)["heldout_loss"]
    assert loss < math.pi / 2 - 0.1
    # Codes of the same numbers, shuffled apart, are no such maps.
    drawn = generator()
    shuffled = torch.stack([column[torch.randperm(200, generator=drawn)] for column in other.T], 1)
    assert prior.held_out(shuffled)["heldout_loss"] > loss + 0.1


@pytest.mark.parametrize("shape", [(3, 1, 1), (4, 8, 8), (2, 6, 10), (1, 16, 32), (5, 3, 3)])
def test_the_network_takes_maps_of_any_size(shape):
    made = Velocity(shape, 8)(torch.randn(2, *shape), torch.tensor([0.1, 0.9]))
    assert made.shape == (2, *shape) and not made.any()  # its last convolution begins at 0


def test_what_cannot_be_fitted_to_maps_is_said_before_training():
    with pytest.raises(UserError, match=r"flow density cannot be fitted to code maps of 4 x 16 x 16 = 1,024 numbers"):
        Flow().check((4, 16, 16))
    with pytest.raises(UserError, match="gaussian density cannot be fitted"):
        GaussianDensity().check((16, 16, 16))
    for density, shape in (
        (Flow(), (1024,)),
        (Flow(), (4, 8, 8)),
        (MixtureDensity(), (16, 32, 32)),
        (SecondStage(), (4, 9, 9)),
    ):
        density.check(shape)
    recipe = Recipe(network=LiteVae(), latent=4, evaluation=Evaluation(densities=(Flow(),)))
    with pytest.raises(UserError, match="take mixture or flow_matching"):
        recipe.check_trainable(1, 128)


def test_how_maps_are_fitted_is_said_once():
    recipes = [Recipe(network=LiteVae(), latent=latent) for latent in (4, 5)] + [Recipe(latent=4)]
    assert densities_said(recipes, 64) == [
        "on code maps of more than 32 numbers, the mixture is one along at most 32 leading directions"
    ]


def test_settings_that_came_later_are_not_in_identities_at_their_default():
    assert "directions" not in MixtureDensity().settings and MixtureDensity(directions=5).settings["directions"] == 5
    assert MixtureDensity().settings == {"family": "mixture", "components": 10, "iterations": 2000, "tolerance": 1e-3}
