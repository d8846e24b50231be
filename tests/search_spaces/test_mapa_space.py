"""The space of MAPA-inspired inference: conditional, of points, with the methods that it is measured against."""

from dataclasses import replace

import numpy as np
import pytest
from conformance import Conformance

from evae.data import load
from evae.data.base import DataRecipe
from evae.inference import Em, Mapa
from evae.likelihoods import Gaussian
from evae.networks import Dense, Table
from evae.recipe import Evaluation, Optimisation, Recipe
from search_spaces.mapa import BY_WEIGHTS, METHODS, space


class TestMapa(Conformance):
    BASE = Recipe(
        data=DataRecipe(source="points:arc", train_images=50),
        network=Dense(width=0.25),
        likelihood=Gaussian.for_points(),
        latent=1,
        optimisation=Optimisation(batch_size=20, epochs=7, learning_rate=1e-3),
        evaluation=Evaluation(densities=()),
    )

    @pytest.fixture
    def space(self):
        return space(self.BASE)

    def test_what_the_space_does_not_vary_is_the_bases(self, space):
        for recipe in space.recipes(self.BASE):
            assert (recipe.data, recipe.evaluation) == (self.BASE.data, self.BASE.evaluation)
            assert recipe.network in (self.BASE.network, Table(rows=50))
            assert recipe.optimisation.epochs == 7

    def test_only_weights_have_a_width_and_an_order(self, space):
        seen = set()
        for trial, recipe in self.drawn(space):
            method = trial.params["method"]
            seen.add(method)
            assert isinstance(recipe.inference, Mapa | Em) == (method in BY_WEIGHTS)
            assert ("codes" in trial.params) == (method in BY_WEIGHTS)
            assert ("width" in trial.params) == (trial.params.get("width_rule") == "given")
            assert isinstance(recipe.network, Table) == (method == "kde")
        assert seen == set(METHODS)

    def test_a_kernel_density_has_a_row_for_each_point(self, space):
        assert self.control(space, "mean-shifted KDE").network.rows == 50

    def test_the_points_of_a_file_are_counted(self, tmp_path):
        np.save(tmp_path / "own.npy", np.random.default_rng(0).normal(size=(90, 2)))
        base = replace(self.BASE, data=DataRecipe(source=f"points:{tmp_path / 'own.npy'}"))
        control = next(c for c in space(base).controls if c.label == "mean-shifted KDE")
        assert space(base).recipe(control.params, base).network.rows == len(load(base.data).train) < 90
