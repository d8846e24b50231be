"""The evaluation of a trained model: which numbers there are, and that they mean what their names say."""

import io
import math
import re
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from tiny import POSTERIORS, labelled, tiny_images, tiny_recipe
from torch import nn

from evae.data import DataRecipe, batch, load
from evae.evaluation import Evaluated, evaluate
from evae.evaluation.rows import PRIOR, noise_of
from evae.evaluation.tiles import picture
from evae.likelihoods import SumOfSquares
from evae.metrics.features import Features, load_features
from evae.metrics.frechet import Moments, frechet_distance
from evae.metrics.perceptual import perceptual
from evae.metrics.reconstruction import psnr
from evae.metrics.reference import Reference, reference
from evae.networks import Linear
from evae.networks.base import Network
from evae.posteriors.autoencoder import Autoencoder
from evae.posteriors.evae import Evae
from evae.posteriors.gaussian import Gaussian
from evae.priors import MixturePrior
from evae.signals import visible
from evae.training import Diverged, Training

TAP = "efficientnet_lite0_b2"
IMAGES = tiny_images()
SAMPLES = ("gen", "xpd_mixture")
COUNTED = {f"{kind}_{name}" for kind in SAMPLES for name in ("precision", "recall", "density", "coverage")}
"""Of few images alike in different sets."""
COLUMNS = {
    *COUNTED,
    *(f"{kind}_{distance}_{TAP}" for kind in ("rec", *SAMPLES) for distance in ("fd", "kd")),
    *(f"{kind}_sharpness" for kind in ("rec", *SAMPLES, "real")),
    *(f"{kind}_{name}" for kind in ("rec", *SAMPLES) for name in ("sharpness_gap", "nearest_image_ratio")),
    "xpd_mixture_nearest_code_ratio",
    "xpd_mixture_heldout_nats",
    *("rec_psnr_db", "rec_ssim", "rec_r2", "distortion_nats", "distortion_of_mean_nats", "rate_is"),
}
OF_AN_EXACT_RATE = {"elbo_nats", "kl_units"}
SPARSE = {"zeros_share", "lifetime_sparseness", "population_sparseness"}
OF_A_PRIOR = {"rate_nats", "rate_per_latent", "active_units", "aggregate_w1"}
WITHOUT_NOISE = {
    *(name for name in COLUMNS if name.startswith(("rec_", "real_"))),
    *("rate_nats", "rate_per_latent", "active_units", "kl_units", "rate_is", "distortion_of_mean_nats"),
}


@pytest.fixture(scope="module")
def features() -> Features:
    return load_features("efficientnet-lite0-b2")


@pytest.fixture(scope="module")
def references(features) -> dict[str, Reference]:
    return refer(features, IMAGES)


def refer(features, images) -> dict[str, Reference]:
    splits = ("validation", "test")
    return {split: reference(getattr(images, split), images.train, features, cache=None) for split in splits}


def trained(posterior=None, images=IMAGES, **changes) -> Training:
    training = Training(tiny_recipe(posterior, **changes), images)
    training.train_epoch()
    return training


def decoded(row: dict) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(row["png"])))


@pytest.fixture(scope="module")
def vae() -> Training:
    return trained()


@pytest.fixture(scope="module")
def result(vae, features, references) -> Evaluated:
    return evaluate(vae, features, references)


@pytest.mark.parametrize("posterior", POSTERIORS, ids=lambda p: p.family)
def test_every_family_has_the_columns_that_mean_something_for_it(posterior, features, references):
    """Without a prior there is no distance from one, and without an exact rate no ELBO."""
    metrics = evaluate(trained(posterior), features, references).metrics
    wanted = COLUMNS | {
        "autoencoder": set(),
        "rae": set(),
        "evae": OF_A_PRIOR,
    }.get(posterior.family, OF_A_PRIOR | OF_AN_EXACT_RATE)
    wanted = wanted | SPARSE if posterior.nonnegative else wanted
    wanted = wanted - {"xpd_mixture_nearest_code_ratio"} if posterior.discrete else wanted
    assert set(metrics) == wanted | {f"val_{name}" for name in wanted}
    numbers = [value for value in metrics.values() if isinstance(value, (int, float))]
    assert len(numbers) == 2 * len(wanted - {"rate_is", "rate_per_latent"})
    assert all(math.isfinite(value) for value in numbers)


def test_the_elbo_is_minus_distortion_minus_rate_and_the_rate_is_the_sum_over_latents(result):
    for prefix in ("", "val_"):
        distortion, rate = (result.metrics[f"{prefix}{name}_nats"] for name in ("distortion", "rate"))
        assert result.metrics[f"{prefix}elbo_nats"] == pytest.approx(-distortion - rate, rel=1e-6)
        per_latent = result.metrics[f"{prefix}rate_per_latent"]
        assert len(per_latent) == 3 and sum(per_latent) == pytest.approx(rate, rel=1e-5)


def test_each_distance_has_its_identity(result, features, references):
    distances = {name for name in result.metrics if re.search(r"_[fk]d_", name)}
    assert set(result.distances) == distances and len(distances) == 12
    for name, identity in result.distances.items():
        split = "validation" if name.startswith("val_") else "test"
        count = len(getattr(IMAGES, split))
        assert identity["split"] == split
        assert identity["n_real"] == identity["n_generated"] == count
        assert identity["features"] == "efficientnet-lite0-b2" and identity["digest"] == features.digest
        assert identity["resize"] == features.resize and identity["seed"] == 0
        is_sample, is_kernel = "rec_" not in name, "_kd_" in name
        assert identity["floor"] == (references[split].floor if is_sample and not is_kernel else 0)
        assert identity["floor_sd"] == (references[split].kd_sd if is_sample and is_kernel else None)
        assert identity["pairs"] == ("left out" if is_kernel and not is_sample else None)
        given = {"family": "mixture", "n_codes": 24, "components": 10, "iterations": 2000, "tolerance": 1e-3}
        assert identity.get("density") == (given if "xpd_" in name else None)


def test_with_another_prior_samples_and_rate_are_of_that_one(features, references):
    """The farther it is moved, the more a code costs, and the farther are codes from its draws."""
    found = []
    for moved in (0, 100):
        training = Training(replace(tiny_recipe(), prior=MixturePrior(components=1)), IMAGES)
        with torch.no_grad():
            training.model.prior.means.fill_(moved)
        found.append(evaluate(training, features, references).metrics)
        assert found[-1]["rate_is"] == "estimated"
        assert set(found[-1]) == {p + name for name in COLUMNS | OF_A_PRIOR | {"elbo_nats"} for p in ("", "val_")} - {
            "rate_per_latent",
            "val_rate_per_latent",
        }
    near, far = found
    assert far["rate_nats"] > near["rate_nats"] + 3 * 100**2 / 3 and far["aggregate_w1"] > near["aggregate_w1"] + 50
    assert far["gen_sharpness"] != near["gen_sharpness"] and far["rec_psnr_db"] == near["rec_psnr_db"]


@dataclass(frozen=True, kw_only=True)
class Perfect(Network):
    """Codes are the pixels, and decoded to what they were."""

    family: ClassVar[str] = "perfect"

    def build(self, image_size: int, channels: int, latent: int, heads: int) -> tuple[nn.Module, nn.Module]:
        class Logit(nn.Module):
            def __init__(self):
                super().__init__()
                self.unused = nn.Parameter(torch.zeros(1))  # an optimiser wants one

            def forward(self, z):
                return torch.logit(z, eps=1e-6)

        shape = (channels, image_size, image_size)
        return nn.Flatten(), nn.Sequential(nn.Unflatten(1, shape), Logit())


def test_perfect_reconstructions_are_at_the_floor_of_their_distances(features, references):
    recipe = replace(tiny_recipe(Autoencoder()), network=Perfect(), latent=32 * 32)
    recipe = replace(recipe, evaluation=replace(recipe.evaluation, densities=()))
    result = evaluate(Training(recipe, IMAGES), features, references, pictures=False)
    for prefix in ("", "val_"):
        for name in (f"{prefix}rec_fd_{TAP}", f"{prefix}rec_kd_{TAP}"):
            assert result.metrics[name] == pytest.approx(result.distances[name]["floor"], abs=1e-3)
        assert result.metrics[f"{prefix}rec_ssim"] == pytest.approx(1)
        assert result.metrics[f"{prefix}gen_fd_{TAP}"] > references["test"].floor


def test_the_same_model_twice_gives_the_same_numbers_whatever_was_drawn_in_between(vae, result, features, references):
    torch.rand(100)
    again = evaluate(vae, features, references)
    assert again.metrics == result.metrics
    assert [p["png"] for p in again.pictures] == [p["png"] for p in result.pictures]


def test_evaluating_changes_neither_weights_nor_images(features, references):
    training, images = trained(), {s: getattr(IMAGES, s).copy() for s in ("train", "validation", "test")}
    before = {name: value.clone() for name, value in training.model.state_dict().items()}
    evaluate(training, features, references)
    assert all(torch.equal(before[n], v) for n, v in training.model.state_dict().items())
    assert all(np.array_equal(getattr(IMAGES, split), copy) for split, copy in images.items())


def test_test_and_validation_are_measured_on_their_own_images(result):
    counted = COUNTED | {"rate_is", "active_units"}
    same = [n for n in (COLUMNS | OF_A_PRIOR) - counted if result.metrics[n] == result.metrics[f"val_{n}"]]
    assert same == []


@pytest.mark.parametrize("source", ["mean", "sample"])
def test_test_values_are_taken_on_draws_of_their_own(features, source):
    """With the same images in both splits, what differs is what noise has a part in."""
    images = tiny_images(validation=16, test=16)
    images = replace(images, validation=images.test)
    recipe = tiny_recipe()
    recipe = replace(recipe, evaluation=replace(recipe.evaluation, reconstruct_from=source))
    training = Training(recipe, images)
    training.train_epoch()
    metrics = evaluate(training, features, refer(features, images), pictures=False).metrics
    alike = {n for n in (COLUMNS - COUNTED) | OF_A_PRIOR | OF_AN_EXACT_RATE if metrics[n] == metrics[f"val_{n}"]}
    real = {n for n in WITHOUT_NOISE if source == "mean" or not n.startswith("rec_")}
    assert alike == real


def test_losses_of_an_epoch_are_those_of_the_evaluation(vae, result, features, references):
    """To the last digit, so that a search judges the same whether it has seen an epoch or read of it."""
    validated = vae.validate()
    for name in ("val_distortion_nats", "val_rate_nats", "val_elbo_nats"):
        assert result.metrics[name] == validated[name]


def test_swapped_splits_swap_the_numbers_of_the_reconstructions(features):
    """The images decide, not the name of the split, but for the noise: nothing else about test is hard-wired."""
    images = tiny_images(validation=16, test=16)
    swapped = replace(images, validation=images.test, test=images.validation)
    straight = evaluate(trained(images=images), features, refer(features, images)).metrics
    crossed = evaluate(trained(images=swapped), features, refer(features, swapped)).metrics
    for name in WITHOUT_NOISE:
        assert crossed[f"val_{name}"] == straight[name]


def test_reconstruction_metrics_by_hand(vae, result):
    """Mean squared error and cross-entropy over pixels, taken from the model image by image."""
    model = vae.model.eval()
    decibel, codes = [], []
    with torch.no_grad():
        for image in IMAGES.test:
            x = torch.from_numpy(image.copy())[None] / 255
            codes.append(vae.recipe.posterior.mean(model.encode(x)))
            error = F.mse_loss(model.decode(codes[-1]).double(), x.double())
            decibel.append(-10 * math.log10(float(error)))
    assert result.metrics["rec_psnr_db"] == pytest.approx(np.mean(decibel), rel=1e-4)
    assert result.metrics["active_units"] == int((torch.cat(codes).var(0) > 0.01).sum())


def test_generation_distance_by_hand(vae, result, features, references):
    """The stored value is the distance of as many prior samples as there are real images; those that are shown are
    among them."""
    with torch.no_grad():
        samples = vae.model.eval().sample(16, noise_of(vae, PRIOR, "test", "cpu"))
        moments = Moments()
        moments.update(features(samples))
    expected = frechet_distance(moments, references["test"].moments)
    assert result.metrics[f"gen_fd_{TAP}"] == pytest.approx(expected, rel=1e-6)
    assert np.array_equal(decoded(result.pictures[2]), decoded(picture("sampled", samples)))


def test_units_are_active_in_units_of_the_prior():
    """Codes and prior scaled alike are the same model: as many units are active (Burda et al. 2016, 5.3)."""
    wide, narrow = (Evae(bandwidth=0.05, prior="gaussian", prior_width=width) for width in (1e-4, 10.0))
    features = load_features("efficientnet-lite0-b2")
    references = refer(features, IMAGES)
    active = [evaluate(trained(p), features, references).metrics["active_units"] for p in (wide, narrow)]
    assert active == [3, 0]


def test_another_evaluation_seed_gives_other_samples_of_the_same_reconstructions(vae, result, features, references):
    other = Training(replace(vae.recipe, evaluation=replace(vae.recipe.evaluation, seed=1)), IMAGES)
    other.train_epoch()
    metrics = evaluate(other, features, references).metrics
    assert metrics["rec_psnr_db"] == result.metrics["rec_psnr_db"]
    assert metrics[f"gen_fd_{TAP}"] != result.metrics[f"gen_fd_{TAP}"]


def test_trials_with_other_seeds_are_compared_on_the_same_draws(features, references):
    """Codes that are all noise, compared with prior draws: the trial's seed must change neither."""
    drawn = []
    for seed in (0, 1):
        training = trained(seed=seed)
        with torch.no_grad():
            training.model.encoder[-1].weight.zero_()
            training.model.encoder[-1].bias.zero_()
        drawn.append(evaluate(training, features, references).metrics["aggregate_w1"])
    assert drawn[0] == drawn[1] > 0


def test_reconstructions_come_from_the_code_that_the_recipe_names(features, references):
    recipe = tiny_recipe(Gaussian())
    values = []
    for source in ("mean", "sample"):
        training = Training(replace(recipe, evaluation=replace(recipe.evaluation, reconstruct_from=source)), IMAGES)
        training.train_epoch()
        values.append(evaluate(training, features, references).metrics["rec_psnr_db"])
    assert values[0] != values[1]


def test_a_model_that_is_no_longer_finite_diverges_instead_of_being_measured(features, references):
    training = trained()
    with torch.no_grad():
        training.model.decoder[-1].bias.fill_(float("inf"))
    with pytest.raises(Diverged, match="epoch 1"):
        evaluate(training, features, references)


def told(labels, painted=None, counts=(4, 18, 19), seed=0) -> Evaluated:
    """Of images whose levels of grey are the labels that they are `painted` by; codes are pixels."""
    images, splits = replace(IMAGES, labels=labels), {}
    for split in ("train", "validation", "test"):
        levels = 60 * getattr(painted or labels, split) + 60
        made = np.random.default_rng(levels.size).normal(levels[:, None, None, None], 9, (levels.size, 1, 32, 32))
        splits[split] = made.clip(0, 255).astype(np.uint8)
    images = replace(images, **splits)
    recipe = replace(tiny_recipe(Autoencoder()), network=Perfect(), latent=32 * 32)
    recipe = replace(recipe, evaluation=replace(recipe.evaluation, downstream=counts, seed=seed, densities=()))
    features = load_features("efficientnet-lite0-b2")
    return evaluate(Training(recipe, images), features, refer(features, images), pictures=False)


def test_accuracies_are_there_for_the_labels_that_there_are_and_say_of_which(features):
    """18 of the 24 training images have a label."""
    known = labelled(IMAGES).labels
    result = told(known)
    kinds = ("knn", "linear", "shattering")
    names = {f"{prefix}{kind}_accuracy_{n}" for prefix in ("", "val_") for kind in kinds for n in (4, 18)}
    assert {name for name in result.metrics if "accuracy" in name} == names
    for name in names:
        identity, split = result.distances[name], "validation" if name.startswith("val_") else "test"
        labels = getattr(known, split)
        assert identity["labels"] == known.digest and identity["split"] == split and identity["seed"] == 0
        assert identity["n_measured"] == (labels >= 0).sum() == 0.75 * len(labels)
        assert identity["n_labels"] == int(name.rpartition("_")[2])
        shares = np.bincount(labels[labels >= 0]) / identity["n_measured"]
        # Of three classes, a half is one class or the two others.
        chance = np.maximum(shares, 1 - shares).mean() if "shattering" in name else shares.max()
        assert identity["chance"] == pytest.approx(chance)
    assert all(result.metrics[name] == 1 for name in names if name.endswith("18") and "shattering" not in name)
    assert result.metrics["knn_accuracy_4"] < 1  # four labels are all neighbours of all


def test_accuracies_hang_on_the_labels_and_on_the_seed_of_the_evaluation():
    labels = labelled(IMAGES).labels
    wrong = np.where(labels.test >= 0, (labels.test + 1) % 3, -1)
    result = told(replace(labels, test=wrong), painted=labels)
    assert result.metrics["linear_accuracy_18"] == 0 and result.metrics["val_linear_accuracy_18"] == 1
    few = [told(labels, counts=(4, 6), seed=seed).metrics for seed in range(3)]
    assert len({(one["knn_accuracy_4"], one["knn_accuracy_6"], one["linear_accuracy_4"]) for one in few}) > 1
    assert told(labels, counts=(6,)).metrics["knn_accuracy_6"] == few[0]["knn_accuracy_6"]


def test_without_labels_there_are_no_accuracies():
    recipe = tiny_recipe()
    recipe = replace(recipe, evaluation=replace(recipe.evaluation, downstream=(4,)))
    features = load_features("efficientnet-lite0-b2")
    measured = evaluate(Training(recipe, IMAGES), features, refer(features, IMAGES), pictures=False)
    assert not [name for name in measured.metrics if "accuracy" in name]


def test_perceptual_distances_are_measured_where_they_are_asked_for(features, references):
    """Of the reconstructions that the other metrics are of; on the validation split, where a search looks at them."""
    name, given = "efficientnet_features", trained()
    evaluation = replace(given.recipe.evaluation, perceptual=(name,), densities=())
    given.recipe = replace(given.recipe, evaluation=evaluation)
    result = evaluate(given, features, references, pictures=False)
    for split, prefix in (("test", ""), ("validation", "val_")):
        x = torch.from_numpy(getattr(given.images, split)) / 255
        by_hand = float(perceptual(name, given.model.reconstruct(x), x).mean())
        assert result.metrics[f"{prefix}rec_{name}"] == pytest.approx(by_hand, rel=1e-4)
        assert result.distances[f"{prefix}rec_{name}"]["n_measured"] == len(x)
        assert len(result.distances[f"{prefix}rec_{name}"]["digest"]) == 64
    only = {"validation": references["validation"]}
    searched = evaluate(given, features, only, False, searched=["gen_fd"]).metrics
    assert f"val_rec_{name}" not in searched and "val_rec_ssim" in searched
    assert f"val_rec_{name}" in evaluate(given, features, only, False, searched=[f"rec_{name}"]).metrics


def test_signals_are_measured_as_they_are_looked_at(features):
    """And their terms as they are."""
    images = load(DataRecipe(source="patches:whitened,count=80", validation_images=8, test_images=8))
    parts = {"data": DataRecipe(source="patches:whitened"), "network": Linear(), "likelihood": SumOfSquares()}
    training = Training(replace(tiny_recipe(), **parts), images)
    training.train_epoch()
    found = evaluate(training, features, refer(features, images))
    x = batch(images.test, slice(None), "cpu")
    outputs = training.model.decoder(training.model.posterior.mean(training.model.encode(x))).detach()
    assert found.metrics["distortion_of_mean_nats"] == pytest.approx(float((outputs - x).square().sum() / 8), rel=1e-5)
    assert found.metrics["rec_psnr_db"] == pytest.approx(float(psnr(visible(outputs), visible(x)).mean()), rel=1e-5)
    real = next(row for row in found.pictures if row["kind"] == "real")
    grid = np.asarray(Image.open(io.BytesIO(real["png"])))[:16, :16] / 255
    np.testing.assert_allclose(grid, visible(x)[0, 0], atol=0.5 / 255)
