"""The space of MoG-VAEs: conditional, in range, with the official code's constants and its baseline as controls."""

import dataclasses

import pytest
from conformance import Conformance

from evae.adversarial import Adversarial
from evae.errors import UserError
from evae.likelihoods import Laplace
from evae.networks import PatchGan, ResNetV2
from evae.posteriors import Gaussian, Mixture
from evae.recipe import Optimisation, Recipe
from search_spaces.mog import space

MIXTURE = {"reading", "mixture_size", "population_beta", "individual_beta"}
DISCRIMINATOR = {"disc_weight", "disc_start", "disc_learning_rate"}
ALWAYS = {"method", "discriminator", "latent", "learning_rate"}


class TestMog(Conformance):
    BASE = Recipe(
        network=ResNetV2(width=0.5), latent=40, optimisation=Optimisation(batch_size=20, epochs=7, learning_rate=2e-4)
    )

    @pytest.fixture
    def space(self):
        return space(self.BASE, (5, 80))

    def test_there_are_only_parameters_of_what_there_is(self, space):
        kinds = set()
        for trial, recipe in self.drawn(space):
            mixture, judged = isinstance(recipe.posterior, Mixture), recipe.adversarial is not None
            kinds.add((mixture, judged))
            expected = ALWAYS | (MIXTURE if mixture else {"beta"}) | (DISCRIMINATOR if judged else set())
            assert set(trial.params) == expected
        assert len(kinds) == 4

    def test_every_parameter_reaches_the_recipe(self, space):
        for trial, recipe in self.drawn(space):
            given = dict(trial.params)
            assert given.pop("method") == recipe.posterior.family
            assert given.pop("discriminator") == (recipe.adversarial is not None)
            assert given.pop("latent") == recipe.latent
            assert given.pop("learning_rate") == recipe.optimisation.learning_rate
            names = {"disc_weight": "weight", "disc_start": "start_epoch", "disc_learning_rate": "learning_rate"}
            for name, value in given.items():
                part = recipe.adversarial if name in names else recipe.posterior
                assert getattr(part, names.get(name, name)) == value

    def test_mixtures_are_of_the_sizes_given_and_of_the_batch(self, space):
        sizes = {r.posterior.mixture_size for _, r in self.drawn(space) if isinstance(r.posterior, Mixture)}
        assert sizes == {5, 20, 80}

    def test_everything_has_the_official_likelihood_and_momentum(self, space):
        for recipe in space.recipes(self.BASE):
            assert recipe.likelihood == Laplace(weight=5000.0) and recipe.optimisation.beta1 == 0.5

    def test_a_discriminator_has_half_of_the_training_at_least_and_the_networks_width(self, space):
        starts = set()
        for _, recipe in self.drawn(space):
            if recipe.adversarial is not None:
                starts.add(recipe.adversarial.start_epoch)
                assert recipe.adversarial.discriminator == PatchGan(width=0.5)
        assert starts == {1, 2, 3, 4}

    def test_the_official_control_has_the_official_constants(self, space):
        found = self.control(space, "MoG-VAE, official constants")
        assert found.posterior == Mixture(mixture_size=20)
        assert found.adversarial == Adversarial(discriminator=PatchGan(width=0.5))
        assert (found.latent, found.optimisation.learning_rate) == (512, 1e-4)
        assert found.network.normalisation == "affine"

    def test_the_other_controls_differ_in_what_their_labels_say(self, space):
        whole = self.control(space, "MoG-VAE")
        assert (whole.latent, whole.optimisation.learning_rate) == (40, 2e-4)
        assert whole.posterior == Mixture(mixture_size=20) and whole.adversarial.weight == 100
        moments = dataclasses.replace(whole.posterior, reading="moments")
        alone = dataclasses.replace(whole, adversarial=None)
        assert self.control(space, "MoG-VAE, moment-matched") == dataclasses.replace(whole, posterior=moments)
        assert self.control(space, "MoG-VAE without discriminator") == alone
        assert self.control(space, "VAE (standard KL)") == dataclasses.replace(alone, posterior=Gaussian())

    def test_a_base_outside_of_the_usual_ranges_widens_them(self):
        far = dataclasses.replace(self.BASE, latent=1000, optimisation=Optimisation(learning_rate=1e-2, batch_size=20))
        told = space(far, (5,)).describe(far)
        assert (told["latent"]["high"], told["learning_rate"]["high"]) == (1000, 1e-2)
        assert space(self.BASE, (5,)).describe(self.BASE)["latent"]["high"] == 512

    @pytest.mark.parametrize("size", [0, 1])
    def test_a_mixture_of_fewer_than_two_is_refused_before_any_trial(self, size):
        with pytest.raises(UserError, match=f"mixture_size must be at least 2, got {size}"):
            space(self.BASE, (size, 20)).recipes(self.BASE)
