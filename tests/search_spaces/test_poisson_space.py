"""The space of the Poisson VAE: conditional, with the study's likelihood and networks."""

import pytest
from conformance import Conformance

from evae.likelihoods import SumOfSquares
from evae.networks import Linear, Mlp
from evae.posteriors import GaussianRelu, Poisson
from evae.posteriors.poisson import ESTIMATORS
from evae.posteriors.relaxed import Relaxed
from evae.recipe import Optimisation, Recipe
from search_spaces.poisson import space
from search_spaces.poisson import space as made


class TestPoisson(Conformance):
    BASE = Recipe(
        network=Linear(), likelihood=SumOfSquares(), latent=24, optimisation=Optimisation(batch_size=20, epochs=7)
    )

    @pytest.fixture
    def space(self):
        return space(self.BASE)

    def test_only_counts_have_an_estimator_and_only_what_is_relaxed_a_temperature(self, space):
        families = set()
        for trial, recipe in self.drawn(space):
            families.add(recipe.posterior.family)
            own = {"temperature"} if isinstance(recipe.posterior, Relaxed) else set()
            own |= {"estimator"} if isinstance(recipe.posterior, Poisson) else set()
            assert set(trial.params) == {"method", "beta", "latent"} | own
            assert recipe.posterior.family == trial.params["method"]
            assert all(getattr(recipe.posterior, name) == trial.params[name] for name in ("beta", *own))
        assert families == {"poisson", "gaussian", "laplace", "gaussian_relu", "gaussian_exp", "categorical"}

    def test_every_estimator_is_drawn_and_latent_sizes_go_from_the_bases(self, space):
        recipes = [recipe for _, recipe in self.drawn(space, 600)]
        counts = [recipe.posterior for recipe in recipes if isinstance(recipe.posterior, Poisson)]
        assert {posterior.estimator for posterior in counts} == {*ESTIMATORS, "exact"}
        assert 24 <= min(recipe.latent for recipe in recipes) < 40 and max(recipe.latent for recipe in recipes) > 600

    def test_the_controls_are_the_papers_models_at_the_studys_size(self, space):
        paper = self.control(space, "Poisson, paper (sigmoid)")
        assert paper.posterior == Poisson(estimator="sigmoid", temperature=0.05, log_rate=-4.0) and paper.latent == 24
        assert self.control(space, "Gaussian, rectified").posterior == GaussianRelu()
        other = space.recipe(space.controls[0].params, Recipe(network=Mlp()))
        assert other.posterior.log_rate == -2.0
        labels = {each.label for each in made(Recipe(network=Mlp(), likelihood=SumOfSquares())).controls}
        assert {each.label for each in space.controls} - labels == {"Poisson, exact"}
