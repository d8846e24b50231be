"""What every space of a search, or grid, does: each of their tests inherits from here."""

import optuna

from evae.recipe import Recipe
from evae.search.space import Space


class Conformance:
    """A class of tests that has a fixture `space` and, as its recipe, `BASE`."""

    BASE: Recipe

    def drawn(self, space: Space, count: int = 300) -> list[tuple[optuna.trial.Trial, Recipe]]:
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
        return [(trial, space.suggest(trial, self.BASE)) for trial in (study.ask() for _ in range(count))]

    def control(self, space: Space, label: str) -> Recipe:
        params = next(c.params for c in space.controls if c.label == label)
        return space.suggest(optuna.trial.FixedTrial(dict(params)), self.BASE)

    def test_the_controls_are_distinct_points_of_the_space(self, space):
        assert len({c.label for c in space.controls}) == len(space.controls)
        recipes = set()
        for each in space.controls:
            trial = optuna.trial.FixedTrial(dict(each.params))
            recipes.add(space.suggest(trial, self.BASE).configuration())
            # A fixed trial takes any value: that it lies in its range has to be asked.
            for name, distribution in trial.distributions.items():
                assert distribution._contains(distribution.to_internal_repr(each.params[name]))
            assert set(each.params) == set(trial.distributions)
        assert len(recipes) == len(space.controls)

    def test_the_controls_are_taken_as_given_by_optuna(self, space):
        study = optuna.create_study()
        for each in space.controls:
            study.enqueue_trial(dict(each.params))
            trial = study.ask()
            space.suggest(trial, self.BASE)
            assert trial.params == dict(each.params)

    def test_every_recipe_survives_its_plain_form(self, space):
        recipes = space.recipes(self.BASE)
        assert len(recipes) >= len(space.controls)
        assert [Recipe.from_dict(recipe.to_dict()) for recipe in recipes] == recipes

    def test_what_the_space_does_not_vary_is_the_bases(self, space):
        for recipe in space.recipes(self.BASE):
            assert (recipe.data, recipe.network, recipe.evaluation) == (
                self.BASE.data,
                self.BASE.network,
                self.BASE.evaluation,
            )
            assert recipe.optimisation.epochs == self.BASE.optimisation.epochs
            assert recipe.optimisation.batch_size == self.BASE.optimisation.batch_size
