"""The space of trainings: conditional, in range, and one change a control."""

import dataclasses
from dataclasses import replace

import pytest
from conformance import Conformance

from evae.optimisation import Optimisation
from evae.posteriors import Gaussian
from evae.recipe import Recipe
from search_spaces import training


class TestTraining(Conformance):
    BASE = Recipe(latent=5, optimisation=Optimisation(batch_size=30, epochs=7, learning_rate=2e-2, precision="fp32"))

    @pytest.fixture
    def space(self):
        return training.space(self.BASE)

    def test_the_controls_are_the_plain_training_and_one_change_to_it_each(self, space):
        plain, *others = space.recipes(self.BASE)[: len(space.controls)]
        assert plain == replace(self.BASE, posterior=Gaussian())
        changed = [differing(plain.optimisation, each.optimisation) for each in others]
        assert changed == [
            {"schedule"},
            {"schedule", "warm_up_epochs"},
            {"ema"},
            {"clip_norm"},
            {"optimiser", "weight_decay"},
            {"optimiser"},
            {"beta_warm_up_epochs"},
        ]

    def test_all_that_papers_do_is_drawn_and_nothing_but_the_optimisation_varied(self, space):
        drawn = self.drawn(space)
        found = set().union(*(differing(self.BASE.optimisation, recipe.optimisation) for _, recipe in drawn))
        left = {"batch_size", "epochs", "precision", "beta1", "cosine_floor", "cosine_restarts", "beta_cycles"}
        left |= {"half_size_epochs", "compiled"}
        assert found == {field.name for field in dataclasses.fields(Optimisation)} - left
        for trial, recipe in drawn:
            assert replace(recipe, optimisation=self.BASE.optimisation) == replace(self.BASE, posterior=Gaussian())
            assert ("weight_decay" in trial.params) == (recipe.optimisation.optimiser == "adamw")
            assert ("clip_norm" in trial.params) == (recipe.optimisation.clip_norm is not None)
            assert ("forgotten" in trial.params) == (recipe.optimisation.ema is not None)

    def test_what_belongs_to_another_schedule_is_left_out(self, space):
        given = replace(
            self.BASE.optimisation, schedule="cosine", cosine_floor=0.1, beta_warm_up_epochs=1, beta_cycles=7
        )
        assert space.recipes(replace(self.BASE, optimisation=given)) == space.recipes(self.BASE)


def differing(a: Optimisation, b: Optimisation) -> set[str]:
    return {name for name, value in dataclasses.asdict(a).items() if getattr(b, name) != value}
