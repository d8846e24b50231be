"""The tokenizer space: loss weights in one normalisation, maps that images allow, and controls of the paper's ratio."""

import pytest
from conformance import Conformance

from evae.cost import exact
from evae.criteria import criterion
from evae.errors import UserError
from evae.likelihoods import likelihood
from evae.networks.lite_vae import LiteVae
from evae.recipe import Optimisation, Recipe
from search_spaces.tokenizer import ENCODERS, encoder, space


class TestTokenizer(Conformance):
    BASE = Recipe(
        network=LiteVae.of_size("micro"),
        latent=4,
        likelihood=likelihood["none"](),
        criteria=(criterion["l1"](),),
        optimisation=Optimisation(epochs=4, batch_size=30),
    )

    @pytest.fixture
    def space(self):
        return space(self.BASE, 32)

    def test_what_the_space_does_not_vary_is_the_bases(self, space):
        for recipe in space.recipes(self.BASE):
            assert (recipe.data, recipe.evaluation) == (self.BASE.data, self.BASE.evaluation)
            assert recipe.network.decoder_width == self.BASE.network.decoder_width

    def test_everything_it_draws_can_be_trained(self, space):
        drawn = self.drawn(space)
        for _, recipe in drawn:
            recipe.check_trainable(1, 32, 500)
        assert {trial.params["encoder"] for trial, _ in drawn} == set(ENCODERS)
        assert {recipe.network.downsampling for _, recipe in drawn} == {4, 8, 16}
        assert {trial.params["downsampling"] for trial, _ in self.drawn(self.of(24))} == {4, 8}

    def test_networks_and_sizes_that_it_has_not_are_refused(self):
        with pytest.raises(UserError, match="conv has none: take the networks lite_vae or sd_vae"):
            space(Recipe(), 32)
        with pytest.raises(UserError, match="Use image_size 24 or 32"):
            self.of(30).recipes(self.BASE)[0].check_trainable(1, 30)

    def test_as_wide_as_the_papers_it_has_the_papers_encoders(self):
        assert encoder("LiteVAE-B", 1.0, 8) == LiteVae(size="B")

    def of(self, image_size):
        return space(self.BASE, image_size)

    def test_a_weight_of_an_adversary_is_there_with_one_alone(self, space):
        for trial, recipe in self.drawn(space):
            assert ("adversarial" in trial.params) == (recipe.adversarial is not None)
            assert recipe.adversarial is None or recipe.adversarial.start_epoch == 3

    def test_the_controls_have_the_papers_ratio_of_encoders(self, space):
        sizes = {
            c.label: exact(self.control(space, c.label), 32, 3, ["encoder_parameters"])["encoder_parameters"]
            for c in space.controls
        }
        assert sizes["LiteVAE-B"] / sizes["SD-VAE"] == pytest.approx(6.753252 / 34.16, rel=0.1)
        assert sizes["equally small VAE"] == pytest.approx(sizes["LiteVAE-B"], rel=0.1)
