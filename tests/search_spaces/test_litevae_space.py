"""LiteVAE's ablations: every arm differs from the paper's model in what its name says, and in nothing else."""

from dataclasses import replace

import pytest
from conformance import Conformance

from evae.cost import exact
from evae.criteria import criterion
from evae.errors import UserError
from evae.likelihoods import likelihood
from evae.networks.lite_vae import LiteVae
from evae.recipe import Optimisation, Recipe
from search_spaces.litevae_paper import ABLATIONS, ARMS, FULL, grid


class TestAblations(Conformance):
    BASE = Recipe(
        network=LiteVae.of_size("micro"),
        latent=12,
        likelihood=likelihood["none"](),
        criteria=(criterion["l1"](),),
        optimisation=Optimisation(beta1=0.5, epochs=6),
    )

    @pytest.fixture
    def space(self):
        return grid()

    def test_what_the_space_does_not_vary_is_the_bases(self, space):
        for recipe in space.recipes(self.BASE):
            assert (recipe.data, recipe.evaluation, recipe.latent) == (self.BASE.data, self.BASE.evaluation, 12)
            assert recipe.network.decoder_width == self.BASE.network.decoder_width

    def test_every_ablation_names_arms_that_there_are(self, space):
        assert {arm for each in ABLATIONS.values() for arm in (each.arm, each.other)} == set(ARMS)
        assert [control.label for control in space.controls] == list(ARMS)

    def test_arms_differ_in_one_part(self, space):
        full = self.control(space, FULL)
        assert [each.family for each in full.criteria] == ["l1", "high_frequency", "wavelet"]
        for control in space.controls:
            other = self.control(space, control.label)
            changed = {name: getattr(full, name) for name in ("network", "criteria", "adversarial", "optimisation")}
            assert replace(other, **changed) == full
            assert sum(getattr(other, name) != was for name, was in changed.items()) == (control.label != FULL)

    def test_the_small_vaes_encoder_is_about_as_small(self, space):
        recipes = [self.control(space, name) for name in (FULL, "equally small VAE")]
        sizes = [exact(recipe, 32, 3, ["encoder_parameters"])["encoder_parameters"] for recipe in recipes]
        assert sizes[1] == pytest.approx(sizes[0], rel=0.1)

    def test_a_part_of_them_has_their_arms_alone(self):
        assert [c.label for c in grid(["Gaussian loss"]).controls] == ["l1 alone", "l1 and Gaussian loss"]
        with pytest.raises(UserError, match="Did you mean 'wavelet loss'"):
            grid(["wavelet los"])
