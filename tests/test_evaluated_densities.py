"""Samples from ex-post densities, as an evaluation measures them beside those from the prior."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_evaluation import IMAGES, SAMPLES, TAP, decoded, refer, trained
from tiny import tiny_images, tiny_recipe

from evae.densities import Density, GaussianDensity, KernelDensity, MixtureDensity, TrainingCodes
from evae.evaluation import evaluate, evaluated
from evae.evaluation.codes import training_codes
from evae.evaluation.ex_post import SAMPLES as DRAWS
from evae.evaluation.tiles import picture
from evae.metrics.base import Metric, of
from evae.metrics.features import Features, load_features
from evae.metrics.frechet import Moments, frechet_distance
from evae.metrics.reference import Reference
from evae.training import Training, generator


@pytest.fixture(scope="module")
def features() -> Features:
    return load_features("efficientnet-lite0-b2")


@pytest.fixture(scope="module")
def references(features) -> dict[str, Reference]:
    return refer(features, IMAGES)


@pytest.fixture(scope="module")
def vae() -> Training:
    return trained()


def dense(*densities: Density, images=IMAGES, posterior=None, epochs: int = 1) -> Training:
    """A trained model whose evaluation has these densities."""
    recipe = tiny_recipe(posterior)
    training = Training(replace(recipe, evaluation=replace(recipe.evaluation, densities=densities)), images)
    for _ in range(epochs):
        training.train_epoch()
    return training


def test_generation_from_a_density_by_hand(features, references):
    """As from the prior, but for the codes, which are draws of the density that is kept with the weights."""
    training = dense(GaussianDensity())
    result = evaluate(training, features, references)
    (fitted,) = training.model.densities.values()
    moments = Moments()
    with torch.no_grad():
        samples = training.model.decode(fitted.sample(16, generator("cpu", 0, 0, DRAWS)))
        moments.update(features(samples))
    distance = frechet_distance(moments, references["test"].moments)
    assert result.metrics[f"xpd_gaussian_fd_{TAP}"] == pytest.approx(distance, rel=1e-6)
    shown = next(p for p in result.pictures if p["kind"] == "sampled_xpd_gaussian")
    assert np.array_equal(decoded(shown), decoded(picture("sampled", samples)))
    assert torch.equal(fitted.scaling.low, training_codes(training).amin(0).double())


def test_densities_take_nothing_from_what_is_measured_without_them(vae, features, references):
    """The same numbers, to the last bit, with none and with two."""
    result = evaluate(vae, features, references)
    for densities in ((), (GaussianDensity(), TrainingCodes())):
        metrics = evaluate(dense(*densities), features, references).metrics
        assert {n: v for n, v in metrics.items() if "xpd_" not in n} == {
            n: v for n, v in result.metrics.items() if "xpd_" not in n
        }
        sides = {n.removeprefix("val_").split("_")[1] for n in metrics if "xpd_" in n}
        assert sides == {density.family for density in densities}


def test_copies_of_training_codes_are_seen_and_new_codes_are_not_taken_for_them(features):
    """Of the default model, whose codes are noisy; the smaller the kernels the nearer, and a Gaussian is as far away as
    the codes of new images are."""
    images = tiny_images(train=300, validation=60, test=60)
    kernels = {width: KernelDensity(bandwidth=width) for width in (1e-3, 0.1)}
    found = {}
    for name, density in {"copies": TrainingCodes(), **kernels, "gaussian": GaussianDensity()}.items():
        metrics = evaluate(dense(density, images=images), features, refer(features, images), pictures=False).metrics
        found[name] = metrics[f"xpd_{density.family}_nearest_code_ratio"]
    assert found["copies"] == pytest.approx(0, abs=1e-6)
    assert 0 < found[1e-3] < 0.05 < found[0.1] < 0.6
    assert 0.75 < found["gaussian"] < 1.4


def test_a_density_that_cannot_be_fitted_is_recorded_and_the_rest_is_measured(features, references):
    training = dense(MixtureDensity(components=1000), GaussianDensity())
    result = evaluate(training, features, references)
    assert result.metrics["not_fitted"].startswith("mixture: 1000 components are more than the 24 codes")
    assert not any("xpd_mixture" in name for name in result.metrics.keys() | result.distances.keys())
    assert math.isfinite(result.metrics[f"xpd_gaussian_fd_{TAP}"]) and set(training.model.densities) == {"gaussian"}
    assert "sampled_xpd_mixture" not in {p["kind"] for p in result.pictures}


def test_a_metric_of_samples_is_taken_of_each_kind_of_them_and_of_no_reconstruction(
    vae, features, references, monkeypatch
):
    def farthest(samples: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        return torch.cdist(samples, real).max()

    mine = Metric("farthest", "samples", None, "farthest", "", farthest)
    monkeypatch.setattr(evaluated, "registered", lambda kind: [*of(kind), *([mine] if kind == "samples" else [])])
    metrics = evaluate(vae, features, references, pictures=False).metrics
    assert {name for name in metrics if name.endswith("farthest")} == {
        f"{split}{side}_farthest" for split in ("", "val_") for side in SAMPLES
    }


@pytest.mark.parametrize(
    ("searched", "has"),
    [([], False), (["gen_sharpness"], False), (["xpd_codes_fd_x"], False), (["val_xpd_gaussian_recall"], True)],
)
def test_on_the_validation_split_densities_are_sampled_from_where_the_search_looks_at_them(
    searched, has, features, references
):
    training = dense(GaussianDensity())
    metrics = evaluate(training, features, references, pictures=False, searched=searched).metrics
    assert (f"val_xpd_gaussian_fd_{TAP}" in metrics) == has and f"xpd_gaussian_fd_{TAP}" in metrics
    only = {"validation": references["validation"]}
    training.model.densities.clear()
    metrics = evaluate(training, features, only, pictures=False, searched=searched).metrics
    assert any("xpd_" in name for name in metrics) == bool(training.model.densities) == has
