"""Objectives that cannot be: refused where no recipe has them, and said where some have none."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import labelled, tiny_images

from evae.errors import UserError
from evae.likelihoods import Laplace, Logistic
from evae.metrics.sharpness import sharpness
from evae.posteriors.autoencoder import Autoencoder
from evae.posteriors.evae import Evae
from evae.posteriors.gaussian import Gaussian
from evae.posteriors.kernel import KernelKL
from evae.priors.mixture import MixturePrior
from evae.recipe import Evaluation, Recipe
from evae.search.feasible import check_labels, check_possible, check_sharp
from evae.search.objectives import directions

VAE, AE, EVAE, KERNEL = (Recipe(posterior=p) for p in (Gaussian(), Autoencoder(), Evae(), KernelKL()))
LAPLACE = replace(VAE, likelihood=Laplace())
WEIGHED = replace(VAE, evaluation=Evaluation(iw_samples=5))


@pytest.mark.parametrize(
    ("recipes", "objectives", "said"),
    [
        ([AE], ["rate_nats"], "finite rate_nats: rate_nats is not known with the autoencoder posterior"),
        (
            [AE, EVAE],
            ["gen_fd", "rate_nats"],
            "rate_nats is not known with the autoencoder posterior or the evae posterior",
        ),
        ([EVAE], ["elbo_nats"], "elbo_nats is not known with the evae posterior"),
        ([LAPLACE], ["elbo_nats"], "elbo_nats is not known with the laplace likelihood"),
        ([LAPLACE, AE], ["elbo_nats", "rec_ssim"], "the autoencoder posterior or the laplace likelihood"),
        ([VAE, KERNEL], ["nll_nats"], "nll_nats is not known with 0 --iw-samples"),
        ([WEIGHED], ["bits_per_dim"], "bits_per_dim is not known with the bernoulli likelihood"),
        ([replace(WEIGHED, posterior=Evae())], ["nll_nats"], "nll_nats is not known with the evae posterior"),
        ([replace(WEIGHED, likelihood=Laplace())], ["nll_nats"], "nll_nats is not known with the laplace likelihood"),
        ([AE], ["active_units"], "active_units is not known with the autoencoder posterior"),
        ([AE, AE], ["aggregate_w1"], "aggregate_w1 is not known with the autoencoder posterior"),
        (
            [AE, LAPLACE],
            ["active_units", "elbo_nats"],
            "active_units is not known with .*; elbo_nats is not known with",
        ),
    ],
)
def test_what_no_recipe_can_have_is_refused_with_the_cause_and_others(recipes, objectives, said):
    with pytest.raises(UserError, match=said) as caught:
        check_possible(objectives, recipes)
    others = str(caught.value).partition("such as ")[2].rstrip(".").split(", ")
    assert "rec_psnr_db" in others and not set(others) & set(objectives)
    for other in others:
        assert check_possible([other], recipes) == []


@pytest.mark.parametrize("recipe", [VAE, KERNEL, AE, EVAE, LAPLACE], ids=lambda r: r.posterior.family)
def test_every_recipe_has_what_is_measured_on_pictures(recipe):
    assert check_possible([n for n in directions() if n.startswith(("rec_", "gen_", "distortion"))], [recipe]) == []


def test_what_only_some_recipes_have_is_said_in_a_line_each():
    notes = check_possible(["rate_nats", "active_units", "gen_fd"], [VAE, AE, EVAE, KERNEL])
    assert notes == [
        "rate_nats is not known with the autoencoder posterior or the evae posterior: such configurations are trained "
        "and shown, but not ranked",
        "active_units is not known with the autoencoder posterior: such configurations are trained and shown, but not "
        "ranked",
    ]
    assert check_possible(["rate_nats", "elbo_nats"], [VAE, KERNEL]) == []


def test_likelihoods_are_known_where_they_are_asked_for_and_can_be_estimated():
    assert check_possible(["nll_nats"], [WEIGHED, replace(WEIGHED, prior=MixturePrior())]) == []
    assert check_possible(["nll_nats", "bits_per_dim"], [replace(WEIGHED, likelihood=Logistic())]) == []


def test_with_a_prior_the_rate_is_estimated():
    assert check_possible(["rate_nats", "elbo_nats"], [replace(VAE, prior=MixturePrior())]) == []


def flat(count: int = 300, channels: int = 1) -> np.ndarray:
    grey = np.arange(count, dtype=np.uint8)[:, None, None, None]
    return np.broadcast_to(grey, (count, channels, 8, 8))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", ["grey", "slope"])
def test_pictures_without_any_edge_have_no_sharpness_gap(kind, channels):
    images = flat(channels=channels)
    if kind == "slope":
        images = np.broadcast_to(np.arange(8, dtype=np.uint8) * 30, images.shape)
    assert sharpness(torch.from_numpy(images / 255)).max() < 1e-30
    for name in ("rec_sharpness_gap", "gen_sharpness_gap"):
        with pytest.raises(
            UserError, match=f"the real test images have no sharpness.*{name} can be finite for no model"
        ):
            check_sharp(["gen_fd", name], {"validation": images + np.eye(8, dtype=np.uint8), "test": images})
    check_sharp(["gen_fd", "rec_sharpness"], {"test": images})


@pytest.mark.parametrize("place", [(0, 3, 3), (299, 1, 6)])
def test_one_pixel_in_one_picture_is_sharpness(place):
    images = flat().copy()
    images[place[0], 0, place[1], place[2]] ^= 1
    check_sharp(["rec_sharpness_gap"], {"validation": images})


def test_accuracies_that_no_images_can_have_are_refused_and_those_that_some_can_are_said():
    """Of the 24, 12 and 16 images three quarters have a label."""
    images = labelled(tiny_images())
    assert check_labels(["gen_fd"], (), tiny_images()) == [] == check_labels(["knn_accuracy_18"], (9, 18), images)
    assert check_labels(["gen_fd"], (9, 19, 1000), images) == [
        "no accuracies with 19 or 1,000 labels: there are 18 training images with a label"
    ]
    with pytest.raises(UserError, match="knn_accuracy_19 cannot be measured: tiny has 18 training images with a label"):
        check_labels(["knn_accuracy_9", "knn_accuracy_19"], (9, 19), images)
    with pytest.raises(UserError, match="tiny has no labels, which --downstream needs"):
        check_labels(["gen_fd"], (9,), tiny_images())
    none = replace(images, labels=replace(images.labels, test=np.full(16, -1)))
    with pytest.raises(UserError, match="no labels of its test images, which linear_accuracy_9 needs"):
        check_labels(["linear_accuracy_9"], (9,), none)
