"""Training by weights over training points: what it reaches, what EM and a table make of it, and what is refused."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_index_posterior import matrix
from tiny import flipping, tiny_images, tiny_recipe

from evae.checkpoints import dump_training, restore_training
from evae.data import load
from evae.data.base import DataRecipe, ImageSet
from evae.errors import UserError
from evae.inference import Em, Mapa
from evae.likelihoods import Bernoulli, Gaussian, Laplace
from evae.networks import Dense, Table
from evae.posteriors import Evae
from evae.posteriors import Gaussian as GaussianPosterior
from evae.recipe import Evaluation, Optimisation, Recipe
from evae.testing.inference import CHECKS
from evae.training import Training

POINTS = 120


def points(name: str = "arc") -> ImageSet:
    return load(data_recipe(name))


def data_recipe(name: str = "arc") -> DataRecipe:
    return DataRecipe(source=f"points:{name}", train_images=POINTS, validation_images=40, test_images=40)


def recipe(inference=None, epochs: int = 4, network=None, likelihood=None, latent: int = 1, **given) -> Recipe:
    optimisation = {"batch_size": 40, "learning_rate": 5e-3, "precision": "fp32"} | given
    return Recipe(
        data=data_recipe(),
        posterior=GaussianPosterior(),
        likelihood=likelihood or Gaussian(scale=0.3, learn_scale=True),
        network=network or Dense(width=0.25),
        inference=inference or Mapa(),
        latent=latent,
        optimisation=Optimisation(epochs=epochs, **optimisation),
        evaluation=Evaluation(densities=()),
    )


def trained(inference=None, epochs: int = 4, **given) -> tuple[Training, list[dict]]:
    training = Training(recipe(inference, epochs, **given), points())
    return training, [training.train_epoch() for _ in range(epochs)]


def scale(training: Training) -> float:
    return training.model.likelihood.shown()["scale"]


def test_the_decoder_finds_the_curve_and_its_noise():
    training, rows = trained(epochs=40)
    found = training.course.measured()
    assert found["index_width"] == pytest.approx(0.1, rel=0.3)
    assert scale(training) == pytest.approx(0.1, rel=0.3)
    assert 1 < found["index_perplexity"] < POINTS
    assert found["index_gap_nats"] > 0
    assert rows[-1]["index_bound_nats"] > rows[0]["index_bound_nats"]
    assert found["index_bound_nats"] == pytest.approx(rows[-1]["index_bound_nats"], abs=0.05)


def test_a_code_is_decoded_once_an_epoch_and_once_more_by_expectation_maximisation():
    _, rows = trained()
    assert [row["decoder_passes"] for row in rows] == [POINTS] * 4
    _, rows = trained(Em(after=2))
    assert [row["decoder_passes"] for row in rows] == [POINTS, POINTS, 2 * POINTS, 2 * POINTS]


def test_the_terms_of_a_step_are_those_of_all_pairs():
    training, _ = trained(epochs=1)
    course, model = training.course, training.model
    with torch.no_grad():
        decoded = model.decoder(course.codes)
        found = float(course._distortions(decoded, torch.arange(POINTS)).mean())
    x, f, sigma = course.x, decoded.flatten(1).double().numpy(), scale(training)
    square = ((x[:, None] - f) ** 2).sum(2)
    logs = -square / (2 * sigma**2) - math.log(2 * math.pi * sigma**2)
    assert found == pytest.approx(-(matrix(course.weights) * logs).sum() / POINTS, rel=1e-4)
    measured = course.measured()
    entropy = -np.sum(matrix(course.weights) * np.log(np.maximum(matrix(course.weights), 1e-300))) / POINTS
    assert measured["index_bound_nats"] == pytest.approx(entropy - found - math.log(POINTS), abs=1e-4)
    exact = np.log(np.exp(logs).mean(1)).mean()
    assert measured["index_bound_nats"] + measured["index_gap_nats"] == pytest.approx(exact, abs=1e-4)


def test_the_scale_is_the_closed_form_of_what_the_epoch_decoded():
    training, _ = trained(epochs=2)
    course = training.course
    square = ((course.x[:, None] - course.outputs.flatten(1).double().numpy()) ** 2).sum(2)
    assert scale(training) == pytest.approx(math.sqrt((matrix(course.weights) * square).sum() / (2 * POINTS)), rel=1e-4)


def test_exact_weights_close_the_gap():
    """Once an epoch, before the steps: what these change is all that is left of it."""
    training, _ = trained(Em(after=10), epochs=30)
    kernel = trained(epochs=30)[0].course.measured()
    found = training.course.measured()
    assert 0 <= found["index_gap_nats"] < 0.02 < kernel["index_gap_nats"]
    assert found["index_bound_nats"] > kernel["index_bound_nats"]


def test_a_table_is_a_mean_shift():
    training, _ = trained(network=Table(rows=POINTS, width=0.25), epochs=2)
    course = training.course
    expected = (matrix(course.weights).T @ course.x) / matrix(course.weights).sum(0)[:, None]
    with torch.no_grad():
        decoded = training.model.decoder(course.codes).flatten(1).numpy()
    np.testing.assert_allclose(decoded, expected, atol=1e-5)


def test_a_small_table_has_the_means_of_its_intervals():
    training, _ = trained(network=Table(rows=7, width=0.25), epochs=1)
    assert training.model.decoder.values.shape == (7, 2, 1, 1)
    codes = torch.tensor([[-9.0], [-0.01], [9.0]])
    values = training.model.decoder.values
    assert torch.equal(training.model.decoder(codes), values[[0, 3, 6]])


@pytest.mark.parametrize("inference", [Mapa(), Em(after=1)], ids=lambda one: one.family)
def test_interrupted_and_restored_is_bit_identical(inference):
    whole, resumed = (Training(recipe(inference), points()) for _ in range(2))
    for _ in range(2):
        whole.train_epoch()
    restore_training(resumed, dump_training(whole))
    assert resumed.course.order == whole.course.order
    for _ in range(2):
        one, other = whole.train_epoch(), resumed.train_epoch()
        assert all(one[name] == other[name] for name in one if name not in ("train_s", "images_per_s"))
    assert whole.course.measured() == resumed.course.measured()


def test_a_damaged_state_is_refused():
    training = Training(recipe(), points())
    for state in ({}, {"codes": torch.zeros(3, 1), "width": torch.tensor(0.1), "order": torch.zeros(1)}):
        with pytest.raises(UserError, match="codes of training points do not fit"):
            training.course.restore(state)


def test_one_that_was_not_trained_here_has_no_columns():
    assert Training(recipe(), points()).course.measured() == {}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_expectation_maximisation_from_the_second_epoch_keeps_the_contract(check):
    check(Em(after=1, neighbours=8, codes="first"))


def test_images_and_several_latents_are_trained_too():
    images = tiny_images()
    given = replace(tiny_recipe(), inference=Mapa(neighbours=8), likelihood=Bernoulli())
    row = Training(given, images).train_epoch()
    assert math.isfinite(row["index_bound_nats"]) and row["index_perplexity"] < 8


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"posterior": Evae()}, "take the posterior gaussian, not evae"),
        ({"posterior": GaussianPosterior(beta=0.5)}, "leave beta at 1"),
        ({"importance_samples": 5}, "leave importance_samples out"),
        ({"likelihood": Laplace()}, "likelihood laplace cannot be trained on: take gaussian or bernoulli"),
    ],
)
def test_parts_that_need_an_encoders_bound_are_refused(change, said):
    with pytest.raises(UserError, match=said):
        replace(tiny_recipe(), inference=Mapa(), **change)


def test_what_else_does_not_go_with_it_is_refused():
    given = replace(tiny_recipe(), inference=Mapa())
    with pytest.raises(UserError, match="leave horizontal_flip out"):
        flipping(given)
    with pytest.raises(UserError, match="trains in one process: give workers_per_trial 1"):
        given.check_trainable(2)
    for count in (1, 9):
        with pytest.raises(UserError, match=f"there are {count}: give at least 10, or take inference amortised"):
            given.check_trainable(1, 32, count)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"width_rule": "given"}, "needs a width above 0, got None"),
        ({"width_rule": "given", "width": 0.0}, "needs a width above 0, got 0"),
        ({"width_rule": "given", "width": math.nan}, "needs a width above 0, got nan"),
        ({"width": 0.1}, "leave width out, or take width_rule given"),
        ({"width_rule": "selfconsistent"}, "Did you mean 'self_consistent'"),
        ({"codes": "angel"}, "unknown order of codes 'angel'"),
        ({"neighbours": 1}, "neighbours must be at least 2"),
    ],
)
def test_hyperparameters_that_mean_nothing_are_refused(given, said):
    with pytest.raises(UserError, match=said):
        Mapa(**given)
    with pytest.raises(UserError, match="after must be at least 1 epoch"):
        Em(after=0)


def test_points_of_which_each_is_another_end_with_a_sentence():
    images = points()
    same = np.zeros_like(images.train)
    training = Training(recipe(), replace(images, train=same))
    with pytest.raises(UserError, match="give points that differ, or take inference amortised"):
        training.train_epoch()
