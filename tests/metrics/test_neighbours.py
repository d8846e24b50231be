"""Precision, recall, density, coverage and copies: against other code, and on sets whose answer is known."""

import math

import numpy as np
import prdc
import pytest
import torch
from torch import Tensor

from evae.metrics import neighbours
from evae.metrics.neighbours import (
    near_distance,
    nearest_distances,
    precision_recall_density_coverage,
    radii,
    ratio,
)


def normal(n: int, dim: int = 8, seed: int = 0, scale: float = 1.0, mean: float = 0.0) -> Tensor:
    return mean + scale * torch.randn(n, dim, generator=torch.Generator().manual_seed(seed))


PAIRS = {
    "alike": (normal(60), normal(80, seed=1)),
    "narrow": (normal(60), normal(40, seed=1, scale=0.3)),
    "wide": (normal(30), normal(60, seed=1, scale=2.0)),
    "far from the origin": (normal(50, mean=1e3), normal(50, seed=1, scale=0.8, mean=1e3)),
    "far apart": (normal(20), normal(20, seed=1, mean=50.0)),
}


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("nearest", [1, 5])
def test_agrees_with_the_authors_implementation(pair, nearest):
    real, samples = PAIRS[pair]
    found = precision_recall_density_coverage(real, samples, nearest=nearest)
    expected = prdc.compute_prdc(real.double().numpy(), samples.double().numpy(), nearest_k=nearest)
    assert found == {name: pytest.approx(float(value)) for name, value in expected.items()}


def test_distances_in_blocks_are_those_at_once(monkeypatch):
    real, samples = PAIRS["wide"]
    whole = precision_recall_density_coverage(real, samples), nearest_distances(samples, real)
    monkeypatch.setattr(neighbours, "BLOCK", 7 * len(real) + 3)
    assert precision_recall_density_coverage(real, samples) == whole[0]
    torch.testing.assert_close(nearest_distances(samples, real), whole[1])
    torch.testing.assert_close(whole[1], torch.cdist(samples.double(), real.double()).amin(1))


def test_known_radii_spare_their_computation_and_change_nothing():
    real, samples = PAIRS["narrow"]
    assert precision_recall_density_coverage(real, samples, radii(real)) == precision_recall_density_coverage(
        real, samples
    )


def test_the_same_set_twice_is_all_precise_and_recalled_and_covered():
    real = normal(50)
    found = precision_recall_density_coverage(real, real.clone())
    assert found["precision"] == found["recall"] == found["coverage"] == 1 and found["density"] > 1


def test_a_single_good_image_over_and_over_is_precise_and_covers_little():
    real = normal(50, dim=2)
    found = precision_recall_density_coverage(real, real[:1].repeat(40, 1))
    assert found["precision"] == 1 and found["recall"] <= 1 / 50 and found["coverage"] < 0.5


@pytest.mark.parametrize("count", [2, 3])
def test_fewer_images_than_neighbours_have_the_last_for_their_radius(count):
    """With 5 neighbours wanted, the ball of each of a line's points reaches to its farthest."""
    line = torch.arange(count).float()[:, None]
    assert radii(line).tolist() == [max(i, count - 1 - i) for i in range(count)]
    assert precision_recall_density_coverage(line, line + 0.25)["density"] <= count / (count - 1)


def test_copies_are_near_and_what_is_drawn_anew_is_as_far_as_new_images():
    train, new = normal(400), normal(200, seed=1)
    usual = near_distance(new, train)
    assert ratio(near_distance(train[:200], train), usual) == pytest.approx(0, abs=1e-6)
    assert ratio(near_distance(normal(200, seed=2), train), usual) == pytest.approx(1, abs=0.05)
    assert ratio(near_distance(normal(200, seed=2, scale=1.5), train), usual) > 1.2


@pytest.mark.parametrize("share", [0.5, 0.1])
def test_copies_of_training_images_are_seen_on_a_share_of_these(share):
    """The median of all distances would see nothing: most of what is copied is not in the share."""
    train, new, copies = normal(1000), normal(400, seed=1), torch.Generator().manual_seed(2)
    kept = train[: round(share * len(train))]
    copied = train[torch.randint(len(train), (400,), generator=copies)] + normal(400, seed=3, scale=0.01)
    assert ratio(near_distance(copied, kept, share), near_distance(new, kept, share)) < 0.1
    again = normal(400, seed=4)
    assert ratio(near_distance(again, kept, share), near_distance(new, kept, share)) == pytest.approx(1, abs=0.1)


def test_new_images_that_are_copies_themselves_make_an_infinite_ratio():
    assert ratio(0.0, 0.0) == ratio(1.0, 0.0) == math.inf and ratio(1.0, 2.0) == 0.5


def test_a_single_training_image_is_enough():
    assert near_distance(torch.tensor([[3.0, 4.0], [0.0, 1.0]]), torch.zeros(1, 2)) == pytest.approx(np.median([5, 1]))
