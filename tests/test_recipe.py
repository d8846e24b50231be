"""Recipes survive the way through JSON, and what is wrong in one is named with where it is."""

import dataclasses
import json
import re
from dataclasses import replace

import pytest
from tiny import POSTERIORS

from evae.adversarial import Adversarial
from evae.data.base import DataRecipe
from evae.densities import MixtureDensity
from evae.errors import UserError
from evae.likelihoods import Laplace
from evae.networks.conv import Conv
from evae.networks.patchgan import PatchGan
from evae.networks.sd_vae import SdVae
from evae.posteriors import posterior as families
from evae.posteriors.evae import Evae
from evae.posteriors.gaussian import Gaussian
from evae.recipe import Evaluation, Optimisation, Recipe


def through_json(recipe: Recipe) -> Recipe:
    return Recipe.from_dict(json.loads(json.dumps(recipe.to_dict())))


def test_the_examples_cover_every_family():
    assert {posterior.family for posterior in POSTERIORS} == set(families)


@pytest.mark.parametrize("posterior", POSTERIORS, ids=lambda p: p.family)
def test_every_posterior_survives_json(posterior):
    recipe = Recipe(posterior=posterior, seed=3)
    back = through_json(recipe)
    assert back == recipe and type(back.posterior) is type(posterior)
    assert back.configuration() == recipe.configuration()


def test_no_field_at_another_value_is_lost():
    recipe = Recipe(
        data=DataRecipe(
            source="folder:/x",
            image_size=64,
            channels=3,
            fit="pad",
            train_images=5,
            validation_images=6,
            test_images=7,
            horizontal_flip=True,
        ),
        likelihood=Laplace(weight=9.0),
        network=SdVae(
            width=0.3,
            decoder_width=0.4,
            downsampling=4,
            normalisation="smc",
            decoder_normalisation="smc",
            one_by_one=True,
        ),
        adversarial=Adversarial(
            discriminator=PatchGan(width=0.5),
            weight=2.0,
            loss="hinge",
            start_epoch=2,
            warm_up_epochs=3,
            learning_rate=0.2,
            beta1=0.9,
            weighting="adaptive",
            start_step=5,
        ),
        latent=9,
        optimisation=Optimisation(
            learning_rate=0.1,
            batch_size=3,
            epochs=2,
            precision="fp32",
            beta1=0.5,
            optimiser="adamw",
            weight_decay=0.3,
            clip_norm=7.0,
            schedule="cosine",
            warm_up_epochs=0.5,
            cosine_floor=0.1,
            cosine_restarts=1,
            ema=0.9,
            beta_warm_up_epochs=0.25,
            beta_cycles=2,
            half_size_epochs=1,
            compiled=True,
        ),
        evaluation=Evaluation(
            features="efficientnet-lite0-b2",
            reconstruct_from="sample",
            seed=4,
            downstream=(8, 20),
            densities=(MixtureDensity(components=2),),
            iw_samples=3,
            cost=True,
            perceptual=("efficientnet_features",),
        ),
        seed=8,
    )
    default = Recipe(adversarial=Adversarial(), network=SdVae())
    for part in ("data", "network", "adversarial", "optimisation", "evaluation"):
        given, usual = getattr(recipe, part), getattr(default, part)
        same = [f.name for f in dataclasses.fields(given) if getattr(given, f.name) == getattr(usual, f.name)]
        assert not same, f"the example does not change {part}.{same}"
    assert through_json(recipe) == recipe


def test_missing_keys_take_their_defaults():
    assert Recipe.from_dict({}) == Recipe()
    assert Recipe.from_dict({"optimisation": {"epochs": 2}}) == Recipe(optimisation=Optimisation(epochs=2))


@pytest.mark.parametrize(
    ("given", "where", "nearest"),
    [
        ({"latnet": 3}, "recipe", "latent"),
        ({"data": {"sorce": "mnist"}}, "recipe.data", "source"),
        ({"posterior": {"family": "evae", "bandwith": 1.0}}, "recipe.posterior", "bandwidth"),
        ({"posterior": {"family": "gausian"}}, "recipe.posterior", "gaussian"),
        ({"posterior": {"family": "evae", "kernel": "epanechnikow"}}, "kernel", "epanechnikov"),
        ({"network": {"family": "conv", "widht": 1.0}}, "recipe.network", "width"),
        ({"network": {"family": "convv"}}, "recipe.network", "conv"),
        ({"optimisation": {"epoch": 3}}, "recipe.optimisation", "epochs"),
        ({"optimisation": {"precision": "fp23"}}, "precision", "fp32"),
        ({"optimisation": {"optimiser": "adamx"}}, "optimiser", "adamax"),
        ({"optimisation": {"schedule": "cosin"}}, "schedule", "cosine"),
        ({"likelihood": {"family": "laplac"}}, "recipe.likelihood", "laplace"),
        ({"adversarial": {"wait": 1.0}}, "recipe.adversarial", "weight"),
        ({"adversarial": {"loss": "hing"}}, "adversarial loss", "hinge"),
        ({"adversarial": {"discriminator": {"widht": 1.0}}}, "recipe.adversarial.discriminator", "width"),
        ({"evaluation": {"feature": "x"}}, "recipe.evaluation", "features"),
        ({"evaluation": {"reconstruct_from": "meen"}}, "reconstruction", "mean"),
    ],
)
def test_an_unknown_name_at_any_level_is_answered_with_the_nearest(given, where, nearest):
    with pytest.raises(UserError, match=rf"{re.escape(where)}.* Did you mean '{nearest}'\?"):
        Recipe.from_dict(given)


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"latent": 3.0}, "recipe.latent must be of type int"),
        ({"latent": True}, "recipe.latent must be of type int"),
        ({"latent": None}, "recipe.latent must be of type int"),
        ({"seed": "1"}, "recipe.seed must be of type int"),
        ({"optimisation": {"learning_rate": "fast"}}, "recipe.optimisation.learning_rate must be of type float"),
        ({"data": {"image_size": "32"}}, "recipe.data.image_size must be of type int or tuple"),
        ({"data": {"image_size": [32, "32"]}}, "recipe.data.image_size[1] must be of type int"),
        ({"data": {"image_size": [32]}}, "image_size is a side, or height and width, in pixels; got 32"),
        ({"data": {"image_size": [32, 4]}}, "at least 8 px, got 32 x 4 px"),
        ({"data": {"horizontal_flip": 1}}, "recipe.data.horizontal_flip must be of type bool"),
        ({"data": "mnist"}, "recipe.data must be a table"),
        ({"adversarial": 100.0}, "recipe.adversarial must be a table"),
        ({"adversarial": {"start_epoch": 1.5}}, "recipe.adversarial.start_epoch must be of type int"),
        ({"posterior": "evae"}, "recipe.posterior must be a table"),
        ({"posterior": {}}, "family of recipe.posterior"),
    ],
)
def test_a_wrong_type_is_an_error_that_says_where(given, where):
    with pytest.raises(UserError, match=re.escape(where)):
        Recipe.from_dict(given)


def test_an_int_does_where_a_float_is_due_and_names_the_same_configuration():
    given = {"posterior": {"family": "gaussian", "beta": 2}}
    assert Recipe.from_dict(given).configuration() == Recipe(posterior=Gaussian(beta=2.0)).configuration()


def test_a_configuration_ignores_the_seed_and_the_epochs_and_nothing_else():
    recipe = Recipe()
    changed = [
        replace(recipe, latent=65),
        replace(recipe, data=DataRecipe(validation_images=501)),
        replace(recipe, data=DataRecipe(fit="pad")),
        replace(recipe, posterior=Gaussian()),
        replace(recipe, posterior=Evae(bandwidth=0.5)),
        replace(recipe, posterior=Evae(equal_variance=False)),
        replace(recipe, likelihood=Laplace()),
        replace(recipe, network=Conv(width=0.5)),
        replace(recipe, optimisation=Optimisation(learning_rate=3.0000001e-4)),
        replace(recipe, optimisation=Optimisation(precision="fp32")),
        replace(recipe, optimisation=Optimisation(beta1=0.5)),
        replace(recipe, optimisation=Optimisation(schedule="cosine")),
        replace(recipe, optimisation=Optimisation(ema=0.9)),
        replace(recipe, adversarial=Adversarial()),
        replace(recipe, adversarial=Adversarial(discriminator=PatchGan(width=0.5))),
        replace(recipe, evaluation=Evaluation(seed=1)),
    ]
    names = {each.configuration() for each in (recipe, *changed)}
    assert len(names) == 1 + len(changed)
    assert all(re.fullmatch(r"[0-9a-f]{12}", name) for name in names)
    assert replace(recipe, seed=5).configuration() == recipe.configuration()
    assert replace(recipe, optimisation=Optimisation(epochs=7)).configuration() == recipe.configuration()


def test_another_posterior_keeps_the_warm_up_only_where_it_has_a_rate():
    warmed = Recipe(optimisation=Optimisation(beta_warm_up_epochs=2.0, beta_cycles=3, ema=0.9))
    for posterior in POSTERIORS:
        kept = warmed.with_posterior(posterior)
        expected = Optimisation(ema=0.9) if posterior.family == "autoencoder" else warmed.optimisation
        assert kept == replace(warmed, posterior=posterior, optimisation=expected)


def test_recipes_of_older_stores_keep_their_names():
    """Fields that came later are not in a recipe's plain form where they have their default."""
    assert Recipe().configuration() == "23f1a7fa9881"
    recipe = Recipe(posterior=Gaussian(beta=0.5), network=Conv(width=0.25))
    assert recipe.configuration() == "9b9f3b6f1448"
    assert (
        not {"likelihood", "adversarial"} & recipe.to_dict().keys() and "beta1" not in recipe.to_dict()["optimisation"]
    )


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"latent": 0}, "latent size must be at least 1, got 0"),
        ({"latent": -4}, "latent size"),
        ({"posterior": {"family": "evae", "bandwidth": -0.1}}, "bandwidth"),
        ({"posterior": {"family": "evae", "bandwidth": 0}}, "bandwidth"),
        ({"posterior": {"family": "evae", "bandwidth": float("nan")}}, "bandwidth"),
        ({"posterior": {"family": "gaussian", "beta": -1.0}}, "beta"),
        ({"network": {"family": "conv", "width": 0}}, "width"),
        ({"optimisation": {"learning_rate": 0}}, "learning_rate"),
        ({"optimisation": {"learning_rate": float("nan")}}, "learning_rate"),
        ({"optimisation": {"learning_rate": float("inf")}}, "learning_rate"),
        ({"optimisation": {"batch_size": 0}}, "batch_size"),
        ({"optimisation": {"epochs": -1}}, "epochs"),
        ({"optimisation": {"beta1": 1.0}}, "beta1"),
        ({"optimisation": {"weight_decay": -0.1}}, "weight_decay must be at least 0"),
        ({"optimisation": {"weight_decay": float("inf")}}, "weight_decay"),
        ({"optimisation": {"optimiser": "adamw"}}, "adamw without a weight_decay is adam"),
        ({"optimisation": {"clip_norm": 0}}, "clip_norm must be above 0"),
        ({"optimisation": {"clip_norm": float("nan")}}, "clip_norm"),
        ({"optimisation": {"ema": 1.0}}, "ema must be above 0 and below 1, got 1.0"),
        ({"optimisation": {"ema": 0.0}}, "ema must be above 0"),
        ({"optimisation": {"warm_up_epochs": -1}}, "warm_up_epochs must be at least 0"),
        ({"optimisation": {"warm_up_epochs": 51}}, "warm_up_epochs must be at least 0 and at most the 50 epochs"),
        ({"optimisation": {"warm_up_epochs": 50, "schedule": "cosine"}}, "leaves the cosine schedule no epoch"),
        ({"optimisation": {"cosine_floor": 0.1}}, "of the schedule cosine, not of constant"),
        ({"optimisation": {"cosine_restarts": 1}}, "of the schedule cosine, not of constant"),
        ({"optimisation": {"cosine_restarts": -1, "schedule": "cosine"}}, "cosine_restarts must be at least 0"),
        ({"optimisation": {"cosine_floor": 1.0, "schedule": "cosine"}}, "cosine_floor must be at least 0 and below 1"),
        ({"optimisation": {"beta_warm_up_epochs": 51}}, "beta_warm_up_epochs must be"),
        ({"optimisation": {"beta_cycles": 0}}, "beta_cycles must be at least 1"),
        ({"optimisation": {"beta_cycles": 2}}, "beta_cycles without beta_warm_up_epochs change nothing"),
        ({"optimisation": {"beta_cycles": 6, "beta_warm_up_epochs": 9}}, "6 cycles with 9 epochs of warm-up each"),
        (
            {"optimisation": {"beta_warm_up_epochs": 1}, "posterior": {"family": "autoencoder"}},
            "autoencoder posterior has no rate whose weight could be warmed up: leave beta_warm_up_epochs out",
        ),
        ({"likelihood": {"family": "laplace", "weight": 0}}, "weight of the laplace likelihood"),
        ({"posterior": {"family": "mixture", "mixture_size": 1}}, "mixture_size must be at least 2, got 1"),
        ({"adversarial": {"weight": 0}}, "discriminator's weight"),
        ({"adversarial": {"weight": 1e30}}, "discriminator's weight must be above 0 and at most 1e.09, got 1e.30"),
        ({"adversarial": {"learning_rate": float("inf")}}, "discriminator's learning_rate"),
        ({"adversarial": {"beta1": -0.5}}, "discriminator's beta1"),
        ({"adversarial": {"start_epoch": 0}}, "discriminator's start_epoch must be at least 1, got 0"),
        ({"adversarial": {"warm_up_epochs": -1}}, "discriminator's warm_up_epochs"),
        ({"adversarial": {"start_epoch": 51}}, "starts in epoch 51, but the training ends after 50: start it by then"),
        ({"seed": -1}, "seed"),
        ({"evaluation": {"seed": -1}}, "seed"),
        ({"data": {"validation_images": 0}}, "validation_images"),
    ],
    ids=str,
)
def test_a_value_outside_its_range_is_a_user_error(given, named):
    with pytest.raises(UserError, match=named):
        Recipe.from_dict(given)


def test_a_recipe_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Recipe().latent = 3
