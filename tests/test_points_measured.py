"""What is measured of models of points: against closed forms, and against the model that made them."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from evae.checkpoints import dump_model, load_model
from evae.data import DataRecipe, ImageSet, load
from evae.errors import UserError
from evae.evaluation import Evaluated, evaluate
from evae.evaluation.points import Density, clouds, density, likeness
from evae.likelihoods import Gaussian as Normal
from evae.models import VAE
from evae.networks import Conv, Dense
from evae.posteriors import Gaussian, KernelKL
from evae.recipe import Evaluation, Optimisation, Recipe
from evae.training import Training

MOON = DataRecipe(source="points:moon", train_images=60, validation_images=40, test_images=50)
RECIPE = Recipe(
    data=MOON,
    posterior=Gaussian(),
    likelihood=Normal.for_points(),
    network=Dense(width=0.1),
    latent=1,
    optimisation=Optimisation(epochs=2, batch_size=20, learning_rate=1e-2, precision="fp32"),
)


def linear(slopes: list[list[float]], scale: float, posterior=None) -> VAE:
    """x = slopes z + scale e: a Gaussian with a known density. `slopes` are (d, latent)."""
    matrix = torch.tensor(slopes)
    layer = nn.Linear(matrix.shape[1], len(matrix), bias=False)
    layer.weight.data.copy_(matrix)
    decoder = nn.Sequential(layer, nn.Unflatten(1, (len(matrix), 1, 1)))
    heads = nn.Sequential(nn.Flatten(), nn.Linear(len(matrix), 2 * matrix.shape[1]))
    shape = (matrix.shape[1],)
    return VAE(posterior or Gaussian(), heads, decoder, code_shape=shape, likelihood=Normal(scale=scale), kind="points")


def exact(slopes: list[list[float]], scale: float, x: torch.Tensor) -> torch.Tensor:
    matrix = torch.tensor(slopes, dtype=torch.float64)
    covariance = matrix @ matrix.T + scale**2 * torch.eye(len(matrix), dtype=torch.float64)
    normal = torch.distributions.MultivariateNormal(torch.zeros(len(matrix), dtype=torch.float64), covariance)
    return normal.log_prob(x.double().flatten(1))


def drawn(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_one_latent_is_integrated_exactly():
    slopes, scale = [[1.0], [-0.5], [2.0]], 0.2
    x = 2 * torch.randn(40, 3, 1, 1, generator=drawn())
    found = density(linear(slopes, scale), drawn())
    assert found.how == "grid" and torch.allclose(found.log(x), exact(slopes, scale, x), atol=1e-4)
    value, error = found.mean_log(x)
    assert error < 1e-6 and value == pytest.approx(float(exact(slopes, scale, x).mean()), abs=1e-4)


def test_several_latents_are_drawn_with_an_error_that_is_stated():
    slopes, scale = [[1.0, 0.3], [-0.5, 0.8]], 0.5
    x = torch.randn(100, 2, 1, 1, generator=drawn())
    off, stated = [], []
    for seed in range(8):
        found = density(linear(slopes, scale), drawn(seed), 800)
        value, error = found.mean_log(x)
        assert found.how == "draws"
        off.append(value - float(exact(slopes, scale, x).mean()))
        stated.append(error)
    assert 0.3 < math.sqrt(np.mean(np.square(off))) / math.sqrt(np.mean(np.square(stated))) < 3


def test_a_prior_without_a_density_is_drawn_from():
    uniform = KernelKL(prior="uniform")
    assert density(linear([[1.0]], 0.5), drawn()).how == "grid"
    # Its ends lie between two places of the grid.
    found = density(linear([[1.0]], 0.5, uniform), drawn())
    x = torch.zeros(1, 1, 1, 1)
    width = math.sqrt(3)
    wanted = math.log(math.erf(width / 0.5 / math.sqrt(2)) / (2 * width))
    assert float(found.log(x)) == pytest.approx(wanted, abs=0.05)


def test_blocks_together_are_the_whole():
    model = linear([[1.0], [2.0]], 0.3)
    whole = density(model, drawn(), 64)
    x = torch.randn(5, 2, 1, 1, generator=drawn())
    plain = (whole.log_weights - model.likelihood.of_pairs(whole.outputs, x)).logsumexp(1)
    assert isinstance(whole, Density) and torch.allclose(whole.log(x), plain)


def test_likeness_is_one_for_any_monotone_relabelling_and_small_for_noise():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=200)
    assert likeness(np.exp(-2 * truth), truth) == pytest.approx(1)
    assert likeness(rng.normal(size=200), truth) < 0.35
    assert likeness(np.abs(truth), truth) < 0.7
    assert likeness(np.zeros(200), truth) == 0 and likeness(truth, np.zeros(200)) == 0


def test_a_circle_may_be_cut_open_elsewhere():
    truth = np.random.default_rng(0).normal(size=200)
    share = truth.argsort().argsort() / 200
    moved = (share + 0.37) % 1
    assert likeness(moved, truth) < 0.9
    assert likeness(moved, truth, closed=True) > 0.99 and likeness(-moved, truth, closed=True) > 0.99


@pytest.fixture(scope="module")
def moon() -> ImageSet:
    return load(MOON)


@pytest.fixture(scope="module")
def trained(moon: ImageSet) -> Training:
    training = Training(RECIPE, moon)
    while not training.finished:
        training.train_epoch()
    return training


@pytest.fixture(scope="module")
def measured(trained: Training) -> Evaluated:
    return evaluate(trained, None, {"validation": None, "test": None})


def test_a_model_of_points_has_its_likelihood_and_nothing_of_images(measured, moon):
    found = measured.metrics
    assert not [name for name in found if name.removeprefix("val_").startswith(("rec_", "gen_", "xpd_", "real_"))]
    for prefix, split in (("", "test"), ("val_", "validation")):
        value = found[f"{prefix}log_likelihood_nats"]
        assert found[f"{prefix}log_likelihood_gap_nats"] == pytest.approx(moon.truth.log_density[split].mean() - value)
        assert found[f"{prefix}bound_gap_nats"] == pytest.approx(value - found[f"{prefix}elbo_nats"])
        assert 0 <= found[f"{prefix}code_correlation"] <= 1
        assert measured.distances[f"{prefix}log_likelihood_nats"]["how"] == "grid"
    assert found["log_likelihood_gap_nats"] > 0 and found["bound_gap_nats"] > 0


def test_what_is_drawn_is_small_and_plain(measured):
    rows = {row["kind"]: row for row in measured.clouds}
    assert list(rows) == ["data", "reconstructed", "sampled", "density"] and not measured.pictures
    assert len(rows["data"]["x"]) == len(rows["sampled"]["y"]) == 50
    assert len(rows["density"]["values"]) == len(rows["density"]["x"]) * len(rows["density"]["y"])


@pytest.mark.parametrize("dimensions", [1, 2, 5])
def test_points_of_any_number_are_drawn(dimensions):
    train = np.random.default_rng(0).normal(size=(30, dimensions, 1, 1)).astype(np.float32)
    model = linear([[1.0]] * dimensions, 0.5)
    rows = {row["kind"]: row for row in clouds(model, torch.from_numpy(train), train, drawn())}
    assert (rows["data"]["y"] is None) == (dimensions == 1)
    assert ("density" in rows) == (dimensions <= 2)


def test_passes_are_counted_in_training_alone(moon):
    training = Training(RECIPE, moon)
    assert training.train_epoch()["decoder_passes"] == 60
    training.validate()
    evaluate(training, None, {"validation": None})
    assert training.train_epoch()["decoder_passes"] == 60


def test_kept_weights_decode_beyond_0_to_1(trained, tmp_path):
    path = tmp_path / "moon.safetensors"
    path.write_bytes(dump_model(trained.model, RECIPE, 1, 2))
    points = load_model(str(path)).sample(200, drawn()).detach()
    assert points.shape == (200, 2, 1, 1) and float(points.min()) < 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"network": Conv()}, "conv networks are for images, .* take linear or dense"),
        ({"likelihood": None}, "bernoulli likelihood is no density of unbounded numbers.*take gaussian"),
        ({"evaluation": Evaluation(downstream=(200,))}, "accuracies are of images"),
    ],
)
def test_parts_of_images_alone_are_refused_for_points(changes, said):
    changes = {name: part for name, part in changes.items() if part is not None}
    given = {"data": MOON, "network": Dense(), "likelihood": Normal()} | changes
    if "likelihood" in said:
        del given["likelihood"]
    with pytest.raises(UserError, match=said):
        Recipe(**given)


def test_points_of_a_file_have_no_gap_to_a_truth(moon, tmp_path):
    np.save(tmp_path / "points.npy", moon.test[:, :, 0, 0])
    data = DataRecipe(source=f"points:{tmp_path / 'points.npy'}", validation_images=5)
    recipe = replace(RECIPE, data=data)
    training = Training(recipe, load(data))
    training.train_epoch()
    found = evaluate(training, None, {"validation": None, "test": None}, pictures=False).metrics
    assert "log_likelihood_nats" in found and not [n for n in found if "likelihood_gap" in n or "correlation" in n]
