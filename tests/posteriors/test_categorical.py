"""The categorical posterior against torch's own distributions."""

import math

import pytest
import torch
from torch.distributions import Categorical as Exact
from torch.distributions import kl_divergence

from evae.errors import UserError
from evae.posteriors import Categorical
from evae.recipe import Recipe
from evae.testing.posteriors import generator, made

HEADS = 3 * torch.randn(50, 7, generator=generator(3), dtype=torch.float64)


def test_the_rate_is_the_divergence_that_torch_computes():
    expected = kl_divergence(Exact(logits=HEADS), Exact(logits=torch.zeros(7).double()))
    torch.testing.assert_close(Categorical().rate(HEADS).sum(1), expected)
    assert Categorical().rate(HEADS).min() >= 0


def test_a_code_that_is_certain_costs_the_logarithm_of_the_classes():
    heads = torch.tensor([[0.0, 200.0, 0.0, 0.0]])
    assert float(Categorical().rate(heads).sum()) == pytest.approx(math.log(4))


def test_densities_summed_are_the_probabilities_of_the_class():
    codes = Categorical().sample(HEADS, generator())
    found = Categorical().log_density(HEADS, codes).sum(1)
    torch.testing.assert_close(found, Exact(logits=HEADS).log_prob(codes.argmax(1)))
    prior = Categorical().prior_log_density(codes).sum(1)
    torch.testing.assert_close(prior, torch.full((50,), -math.log(7), dtype=torch.float64))


def test_measured_is_one_class_and_trained_on_are_stand_ins_that_become_it():
    """Of the same noise."""
    one = Categorical().sample(HEADS, generator())
    assert torch.equal(one.sum(1), torch.ones(50).double()) and set(one.unique().tolist()) == {0, 1}
    soft = Categorical().relaxed(HEADS, 1.0, generator())
    torch.testing.assert_close(soft.sum(1), torch.ones(50).double())
    assert not torch.equal(soft, one) and torch.equal(soft.argmax(1), one.argmax(1))
    torch.testing.assert_close(Categorical().relaxed(HEADS, 1e-4, generator()), one, atol=1e-2, rtol=0)


def test_the_temperature_falls_to_the_papers():
    posterior = Categorical()
    assert posterior.scheduled(0.0) == {"temperature": 1.0} and posterior.scheduled(0.5) == {"temperature": 0.1}


def test_one_class_is_an_error():
    with pytest.raises(UserError, match="categorical posterior needs at least 2 latents, got 1"):
        Recipe(posterior=Categorical(), latent=1)


def test_what_the_prior_is_goes_with_the_model():
    assert made(Categorical(), 5).learned.state_dict()["probabilities"].tolist() == pytest.approx([0.2] * 5)
