"""The pictures that an evaluation draws: grids of what they say, from the images that they say."""

import math

import numpy as np
import pytest
import torch
from test_evaluation import IMAGES, decoded, refer, trained
from tiny import tiny_images

from evae.evaluation import Evaluated, evaluate
from evae.evaluation.tiles import perturbations, picture
from evae.metrics.features import Features, load_features


@pytest.fixture(scope="module")
def features() -> Features:
    return load_features("efficientnet-lite0-b2")


@pytest.fixture(scope="module")
def result(features) -> Evaluated:
    return evaluate(trained(), features, refer(features, IMAGES))


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_grids_of_the_stated_size(channels, features):
    images = tiny_images(test=40, channels=channels)
    pictures = evaluate(trained(images=images), features, refer(features, images)).pictures
    kinds = ["real", "reconstructed", "sampled", "sampled_xpd_mixture", "interpolated", "perturbed"]
    assert [p["kind"] for p in pictures] == kinds
    for row in pictures:
        assert row["png"].startswith(b"\x89PNG") and row["image_size"] == 32
        size = (row["rows"] * 32, row["columns"] * 32)
        assert decoded(row).shape == (size if channels == 1 else (*size, 3))
    assert [(p["rows"], p["columns"]) for p in pictures] == [(4, 8), (4, 8), (4, 8), (4, 8), (8, 8), (3, 9)]


def test_the_tiles_are_the_first_test_images_row_by_row(result):
    grid = decoded(result.pictures[0])
    for index in range(16):
        row, column = divmod(index, 8)
        tile = grid[row * 32 : (row + 1) * 32, column * 32 : (column + 1) * 32]
        assert np.array_equal(tile, IMAGES.test[index, 0])


def test_an_interpolation_begins_and_ends_with_the_reconstructions_of_neighbours(result):
    grids = {p["kind"]: decoded(p).astype(int) for p in result.pictures}
    for pair in range(grids["interpolated"].shape[0] // 32):
        line = grids["interpolated"][pair * 32 : (pair + 1) * 32]
        for column, index in ((0, 2 * pair), (7, 2 * pair + 1)):
            row, at = divmod(index, 8)
            rebuilt = grids["reconstructed"][row * 32 : (row + 1) * 32, at * 32 : (at + 1) * 32]
            assert abs(line[:, column * 32 : (column + 1) * 32] - rebuilt).max() <= 1


def test_a_perturbation_goes_through_the_first_reconstruction(result):
    grids = {p["kind"]: decoded(p).astype(int) for p in result.pictures}
    for row in range(3):
        middle = grids["perturbed"][row * 32 : (row + 1) * 32, 4 * 32 : 5 * 32]
        assert abs(middle - grids["reconstructed"][:32, :32]).max() <= 1


def test_perturbations_move_one_latent_each_by_standard_deviations_of_the_mixture():
    """The most varied latent first; two equal Gaussians a distance of 2 apart have the variance of one plus 1."""
    codes = torch.tensor([[1.0, 0.0, -3.0, 0.2, 5.0], [1.0, 2.0, 3.0, 0.0, 5.0]])
    moved = perturbations(codes, torch.full((2, 5), 2.0)).view(4, 9, 5) - codes[0]
    assert [row.any(0).nonzero().flatten().tolist() for row in moved] == [[2], [1], [3], [0]]
    sigmas = torch.linspace(-20, 20, 9)
    for row, latent, variance in ((0, 2, 13.0), (1, 1, 5.0), (2, 3, 4.01), (3, 0, 4.0)):
        torch.testing.assert_close(moved[row, :, latent], sigmas * math.sqrt(variance))


def test_a_single_image_and_a_single_latent_are_perturbed_too():
    assert perturbations(torch.zeros(1, 1), torch.ones(1, 1)).flatten().tolist() == list(range(-20, 21, 5))


@pytest.mark.parametrize("count", [2, 3, 7, 9])
def test_few_test_images_still_give_pictures(count, features):
    images = tiny_images(test=count, validation=count)
    result = evaluate(trained(images=images), features, refer(features, images))
    rows = {p["kind"]: p for p in result.pictures}
    assert rows["real"]["columns"] == min(count, 8) and rows["perturbed"]["columns"] == 9
    assert rows["interpolated"]["rows"] == count // 2
    for row in result.pictures:
        assert decoded(row).shape == (row["rows"] * 32, row["columns"] * 32)
    assert all(math.isfinite(v) for v in result.metrics.values() if isinstance(v, float))


def test_values_outside_the_range_are_clipped_and_rounded():
    tiles = torch.tensor([-0.5, 0.0, 0.4999 / 255, 0.5001 / 255, 1.0, 7.0, 0.5, 0.25])
    row = picture("real", tiles.view(8, 1, 1, 1).expand(8, 1, 8, 8))
    assert decoded(row)[0, ::8].tolist() == [0, 0, 0, 1, 255, 255, 128, 64]
