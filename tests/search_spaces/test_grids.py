"""Grids over the weight of the rate, discriminators and models: every point once, and nothing else."""

from dataclasses import replace

import pytest
from conformance import Conformance

from evae.adversarial import Adversarial
from evae.errors import UserError
from evae.likelihoods import SumOfSquares
from evae.networks import Linear, Mlp, PatchGan
from evae.posteriors import Categorical, Evae, Mixture, Poisson
from evae.posteriors import posterior as families
from evae.recipe import Optimisation, Recipe
from search_spaces import betas, discriminators, poisson_paper, two_stage

OF_POISSON = {"poisson", "laplace", "gaussian_relu", "gaussian_exp", "categorical"}
"""Posteriors in a space of their own."""


class TestBetas(Conformance):
    BASE = Recipe(latent=5, optimisation=Optimisation(batch_size=30))

    @pytest.fixture
    def space(self):
        return betas.grid(betas.FAMILIES, (0.5, 4.0))

    def test_every_family_that_has_a_weight_is_there_with_every_weight(self, space):
        found = [(r.posterior.family, w) for r in space.recipes(self.BASE) for w in [self.weight(r)]]
        expected = [(family, beta) for family in betas.FAMILIES for beta in (0.5, 4.0)]
        assert found == expected
        assert set(betas.FAMILIES) == set(families) - {"autoencoder", "rae"} - OF_POISSON

    def weight(self, recipe: Recipe) -> float:
        weights = recipe.posterior.weights
        return weights["population"] if isinstance(recipe.posterior, Mixture) else weights["rate"]

    def test_beta_weights_both_terms_of_a_mixture_in_the_official_proportion(self, space):
        assert self.control(space, "mixture, beta 4").posterior.weights == {"population": 4.0, "individual": 0.4}

    def test_the_evaes_bound_is_the_papers_whatever_the_batches(self, space):
        assert self.control(space, "evae, beta 0.5").posterior == Evae(beta=0.5)

    def test_what_is_no_family_or_weight_is_refused(self):
        with pytest.raises(UserError, match="Did you mean 'kernel'"):
            betas.grid(("kernels",), (1.0,))
        for beta in (0.0, -1.0, float("nan"), float("inf")):
            with pytest.raises(UserError, match="betas must be above 0 and finite"):
                betas.grid(betas.FAMILIES, (beta,))


class TestDiscriminators(Conformance):
    BASE = Recipe(latent=5, optimisation=Optimisation(batch_size=30, epochs=6))

    @pytest.fixture
    def space(self):
        return discriminators.grid((10.0, 1e9), (1, 6), ("logistic", "hinge"))

    def test_there_is_none_and_every_combination(self, space):
        none, *others = space.recipes(self.BASE)
        assert none.adversarial is None
        found = {(r.adversarial.loss, r.adversarial.start_epoch, r.adversarial.weight) for r in others}
        assert found == {(loss, s, w) for loss in ("logistic", "hinge") for s in (1, 6) for w in (10.0, 1e9)}
        assert len(others) == 8

    def test_only_the_discriminator_differs(self, space):
        for recipe in space.recipes(self.BASE):
            assert recipe.posterior == Mixture() and recipe.optimisation.beta1 == 0.5
            if recipe.adversarial is not None:
                assert recipe.adversarial.discriminator == PatchGan()
                assert recipe.adversarial.learning_rate == Adversarial().learning_rate

    def test_what_none_can_have_is_refused(self):
        with pytest.raises(UserError, match="weight must be above 0 and at most 1e"):
            discriminators.grid((1e10,), (1,), ("hinge",))
        with pytest.raises(UserError, match="Did you mean 'hinge'"):
            discriminators.grid((1.0,), (1,), ("hing",))
        with pytest.raises(UserError, match="start_epoch must be at least 1"):
            discriminators.grid((1.0,), (0,), ("hinge",))

    def test_a_start_after_the_last_epoch_is_refused_before_any_trial(self):
        with pytest.raises(UserError, match="starts in epoch 7, but the training ends after 6"):
            discriminators.grid((1.0,), (7,), ("hinge",)).recipes(self.BASE)


class TestTwoStage(Conformance):
    BASE = Recipe(latent=5)

    @pytest.fixture
    def space(self):
        return two_stage.grid()

    def test_every_family_is_there_and_nothing_else_differs(self, space):
        recipes = space.recipes(self.BASE)
        assert {recipe.posterior.family for recipe in recipes} == set(families) - OF_POISSON
        assert {replace(recipe, posterior=Evae()) for recipe in recipes} == {self.BASE}

    def test_models_are_chosen_by_name(self):
        assert [c.label for c in two_stage.grid(("RAE-L2", "VAE")).controls] == ["RAE-L2", "VAE"]
        with pytest.raises(UserError, match="unknown model 'RAE'"):
            two_stage.grid(("RAE",))


class TestPoissonPaper(Conformance):
    BASE = Recipe(network=Linear(), likelihood=SumOfSquares(), latent=5, optimisation=Optimisation(batch_size=30))

    @pytest.fixture
    def space(self):
        return poisson_paper.grid()

    def test_the_models_are_the_papers(self, space):
        assert self.control(space, "Poisson").posterior == Poisson(estimator="sigmoid", log_rate=-4.0)
        assert self.control(space, "categorical").posterior == Categorical(temperature=0.1)
        assert all(recipe.posterior.beta == 1 for recipe in space.recipes(self.BASE))
        other = space.recipe({"model": "Poisson"}, replace(self.BASE, network=Mlp()))
        assert other.posterior.log_rate == -2.0

    def test_another_model_is_refused(self):
        with pytest.raises(UserError, match="Did you mean 'Poisson'"):
            poisson_paper.grid(("poisson",))
