"""What looks at codes knows that they are maps: measures, pictures, densities, memory, and the words for them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import tiny_images, tiny_recipe

from evae.densities import GaussianDensity, MixtureDensity
from evae.densities.components import check_room
from evae.errors import NotFitted, UserError
from evae.evaluation import codes, evaluate
from evae.evaluation.codes import training_codes
from evae.evaluation.tiles import code_maps as maps_of
from evae.evaluation.tiles import perturbations
from evae.metrics import latents
from evae.metrics.features import load_features
from evae.metrics.latents import aggregate_w1
from evae.metrics.reference import reference
from evae.models import build_model
from evae.networks import LiteVae, SdVae, code_maps
from evae.networks.base import in_words
from evae.posteriors import Gaussian, Mixture
from evae.training import Training

SMALL = LiteVae(size="S", width=0.25, decoder_width=1 / 32)


@pytest.fixture(scope="module")
def training() -> Training:
    """Codes of 3 x 4 x 4."""
    recipe = tiny_recipe()
    recipe = replace(recipe, network=SMALL, evaluation=replace(recipe.evaluation, densities=()))
    training = Training(recipe, tiny_images())
    training.train_epoch()
    return training


@pytest.fixture(scope="module")
def measured(training):
    features = load_features("efficientnet-lite0-b2")
    images = training.images
    return evaluate(training, features, {"test": reference(images.test, images.train, features, cache=None)})


def test_rates_are_of_channels_and_units_of_all_numbers(training, measured):
    found = measured.metrics
    assert training.model.code_shape == (3, 4, 4) and found["code_shape"] == "3 x 4 x 4"
    assert "rate_per_latent" not in found and len(found["rate_per_channel"]) == 3
    assert sum(found["rate_per_channel"]) == pytest.approx(found["rate_nats"], rel=1e-5)
    x = torch.from_numpy(training.images.test.copy()).float() / 255
    with torch.no_grad():
        rates = training.model.posterior.rate(training.model.encode(x)).unflatten(1, (3, 4, 4))
    assert found["rate_per_channel"] == pytest.approx(rates.sum((2, 3)).mean(0).tolist(), rel=1e-3)
    assert found["kl_units"] == int((rates.mean(0) > 0.01).sum())


def test_pictures_have_the_code_maps_of_four_images(measured):
    (picture,) = [picture for picture in measured.pictures if picture["kind"] == "code_maps"]
    assert (picture["columns"], picture["rows"], picture["image_size"]) == (4, 4, 32)


def test_a_picture_shows_each_channel_on_its_own_scale():
    maps = torch.zeros(2, 9, 2, 3)
    maps[0, 0, 0, 0], maps[:, 1] = 6.0, 100.0
    tiles, columns = maps_of(torch.rand(2, 1, 8, 12), maps.flatten(1), (9, 2, 3))
    assert columns == 8 and tiles.shape == (16, 1, 8, 12)
    first, constant = tiles[1, 0], tiles[2, 0]
    # A value 3.3 standard deviations above the channel's mean is white, and fills its rectangle.
    assert (first[:4, :4] == 1).all() and first[4:].unique().numel() == 1 and 0.4 < first[7, 0] < 0.5
    assert (constant == 0.5).all()


def test_perturbations_move_one_number_of_each_channel():
    means = torch.tensor([[0.0, 1, 0, 0, 5, 0], [0, -1, 0, 0, -5, 0]])
    moved = (perturbations(means, torch.ones(2, 6), channels=3) - means[0]).view(3, 9, 6).any(1)
    assert [row.nonzero().flatten().tolist() for row in moved] == [[4], [1], [2]]


def test_networks_without_gradients_take_few_images_at_a_time(monkeypatch):
    model = build_model(Gaussian(), SdVae(width=1 / 32, decoder_width=1 / 32), 16, 1, 2, seed=0).eval()
    x = torch.rand(5, 1, 16, 16)
    seen: list[int] = []
    for network in (model.encoder, model.decoder):
        network.maps.register_forward_hook(lambda _, __, made: seen.append(len(made)))
    whole = model.reconstruct(x)
    monkeypatch.setattr(code_maps, "PIXELS", 2 * 16 * 16)
    with torch.no_grad():
        pieces = model.reconstruct(x)
    assert seen == [5, 5, 2, 2, 1, 2, 2, 1]
    torch.testing.assert_close(pieces, whole, rtol=0, atol=1e-2)


def test_fewer_codes_are_taken_where_they_are_long(training, monkeypatch):
    monkeypatch.setattr(codes, "NUMBERS", 10 * 48)
    assert len(training_codes(training)) == 10
    assert len(training_codes(training, 12)) == 12


def test_the_distance_from_the_prior_is_the_same_in_blocks(monkeypatch):
    random = torch.Generator().manual_seed(0)
    samples, prior = torch.randn(20, 7, generator=random), torch.randn(30, 7, generator=random)
    whole = aggregate_w1(samples, prior, 1.5)
    monkeypatch.setattr(latents, "BLOCK", 100)
    assert aggregate_w1(samples, prior, 1.5) == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize("density", [GaussianDensity(), MixtureDensity()])
def test_full_covariances_that_have_no_room_are_not_fitted(density):
    given = torch.from_numpy(np.random.default_rng(0).standard_normal((11, 8200), dtype=np.float32))
    with pytest.raises(NotFitted, match=r"8,200 numbers would take .* GB: .*code maps"):
        density.fit(given, torch.Generator())
    check_room(10, 2048)


def test_a_memory_that_has_no_room_is_an_error():
    recipe = replace(tiny_recipe(Mixture(mixture_size=6_000)), network=SdVae(downsampling=4), latent=16)
    with pytest.raises(UserError, match=r"give at most a mixture_size of 2048"):
        recipe.check_trainable(1, 256)
    recipe.check_trainable(1, 32)


def test_shapes_in_words():
    said = ["1 latent", "3 latents", "code maps of 4 x 8 x 8"]
    assert [in_words(shape) for shape in ((1,), (3,), (4, 8, 8))] == said
