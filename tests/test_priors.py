"""Priors in the place of a posterior's own: contracts, the rate against them, and a training."""

from dataclasses import replace

import pytest
import torch
from tiny import tiny_images, tiny_recipe

from evae.errors import UserError
from evae.models import build_model
from evae.networks import Conv
from evae.posteriors import Autoencoder, Evae, Gaussian, Mixture
from evae.priors import MixturePrior
from evae.priors import prior as families
from evae.recipe import Recipe
from evae.testing.priors import CHECKS
from evae.training import Training


@pytest.mark.parametrize("family", families)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_it_keeps_its_contract(family, check):
    check(families[family]())


def test_the_estimated_rate_is_on_average_the_exact_one():
    """A mixture of one standard normal is the Gaussian posterior's own prior."""
    model = build_model(Gaussian(), Conv(width=0.1), 32, 1, 3, seed=0, prior=MixturePrior(components=1))
    with torch.no_grad():
        model.prior.means.zero_()
        heads = torch.randn(1, 6, generator=torch.Generator().manual_seed(1)).repeat(40_000, 1)
        codes = model.posterior.sample(heads, torch.Generator().manual_seed(0))
        found = model.estimated_rates(heads, codes)
    exact = float(model.posterior.rate(heads[:1]).sum())
    assert float(found.mean()) == pytest.approx(exact, abs=5 * float(found.std()) / 200)


def test_its_parameters_are_trained_with_the_model():
    training = Training(replace(tiny_recipe(), prior=MixturePrior(components=2)), tiny_images())
    before = training.model.prior.means.detach().clone()
    row = training.train_epoch()
    assert not torch.equal(before, training.model.prior.means)
    assert row["train_elbo_nats"] == pytest.approx(-row["train_distortion_nats"] - row["train_rate_nats"], rel=1e-5)


@pytest.mark.parametrize("posterior", [Autoencoder(), Evae(), Mixture()], ids=lambda p: p.family)
def test_a_posterior_that_cannot_have_another_prior_is_refused(posterior):
    with pytest.raises(UserError, match="leave prior out"):
        Recipe(posterior=posterior, prior=MixturePrior())


def test_a_recipe_brings_it_back():
    recipe = Recipe(posterior=Gaussian(), prior=MixturePrior(components=4))
    assert Recipe.from_dict(recipe.to_dict()) == recipe
    assert "prior" not in Recipe().to_dict()
