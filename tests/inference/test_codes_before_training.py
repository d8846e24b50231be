"""Codes and widths that are fixed before training: by order, angle or assignment, and by which rule."""

import math

import numpy as np
import pytest
from scipy.special import ndtr

from evae.errors import UserError
from evae.inference import codes as of_points
from evae.inference import diffusion
from evae.inference.codes import ORDERS, angles, assigned, by_rank, candidates
from evae.inference.diffusion import coordinates_of, diffusion_coordinates
from evae.inference.neighbours import nearest
from evae.inference.widths import Comparing

NOISE = 0.1


def curve(shape: str, count: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(where on the curve (count,), points with noise (count, 2)): "arc" is open, "circle" closed."""
    random = np.random.default_rng(seed)
    share = random.random(count)
    angle = {"arc": 2.4, "circle": 2 * math.pi}[shape] * share
    return share, np.stack([np.cos(angle), np.sin(angle)], 1) + NOISE * random.standard_normal((count, 2))


def agreement(one: np.ndarray, other: np.ndarray) -> float:
    return abs(float(np.corrcoef(by_rank(one)[:, 0], by_rank(other)[:, 0])[0, 1]))


def test_codes_are_the_quantiles_of_the_prior():
    codes = by_rank(np.array([3.0, -1.0, 10.0, 0.0]))
    np.testing.assert_allclose(ndtr(codes[:, 0]), [5 / 8, 1 / 8, 7 / 8, 3 / 8])


@pytest.mark.parametrize("order", ORDERS)
def test_points_of_an_open_curve_are_put_in_order(order):
    share, x = curve("arc")
    assert agreement(candidates(x, 1, order)[order][:, 0], share) > 0.94


@pytest.mark.parametrize("order", [name for name in ORDERS if name.startswith("angle")])
def test_points_of_a_closed_curve_are_put_in_order_by_angle(order):
    share, x = curve("circle")
    turn = ndtr(candidates(x, 1, order)[order][:, 0])
    turns = [np.exp(2j * np.pi * turn) * np.exp(sign * 2j * np.pi * share) for sign in (1, -1)]
    assert max(abs(each.mean()) for each in turns) > 0.95


def test_the_order_that_fits_is_found_by_its_bound():
    for shape, kinds in {"arc": ("first", "angle"), "circle": ("angle",)}.items():
        _, x = curve(shape)
        comparing = Comparing.of(x, x, None)
        found = comparing.choose(candidates(comparing.x, 1, "best"), "self_consistent", None)
        assert found.order.startswith(kinds)
        assert found.width == pytest.approx(NOISE, rel=0.25)


def test_angles_begin_at_the_widest_gap_whatever_the_turn():
    angle = np.array([0.1, 0.2, 0.5, 5.9])
    for by in (0.0, 1.0, 4.0):
        plane = np.stack([np.cos(angle + by), np.sin(angle + by)], 1)
        np.testing.assert_array_equal(np.argsort(angles(plane)), np.argsort((angle - 5.9) % (2 * np.pi)))


@pytest.mark.parametrize("local", [False, True])
def test_coordinates_do_not_depend_on_rotations_shifts_or_the_points_order(local):
    _, x = curve("arc", 60)
    turned = x @ np.array([[0.6, -0.8], [0.8, 0.6]]) + 7
    order = np.random.default_rng(1).permutation(60)
    there = diffusion_coordinates(nearest(x), 2, local)
    np.testing.assert_allclose(diffusion_coordinates(nearest(turned), 2, local), there, atol=1e-8)
    np.testing.assert_allclose(diffusion_coordinates(nearest(x[order]), 2, local), there[order], atol=1e-8)
    assert np.array_equal(diffusion_coordinates(nearest(x), 2, local), there)


@pytest.mark.parametrize("local", [False, True])
def test_of_many_points_some_have_coordinates_and_the_others_the_means_of_these(monkeypatch, local):
    share, x = curve("arc", 300)
    monkeypatch.setattr(diffusion, "DENSE", 150)
    found = coordinates_of(x, 1, local)[:, 0]
    assert np.array_equal(found[:150], diffusion_coordinates(nearest(x[:150]), 1, local)[:, 0])
    assert agreement(found, share) > 0.94
    assert np.array_equal(found, coordinates_of(x, 1, local)[:, 0])


def test_codes_of_several_latents_are_spread_as_the_prior_and_follow_the_points():
    random = np.random.default_rng(0)
    plane = random.random((300, 2)) * [2.0, 1.0]
    x = np.column_stack([plane, 0.02 * random.standard_normal(300)])
    codes = candidates(x, 2, "best")["assigned"]
    np.testing.assert_allclose(codes.mean(0), 0, atol=0.05)
    np.testing.assert_allclose(np.cov(codes.T), np.eye(2), atol=0.1)
    # Neighbours have near codes: near as a share of what points have that are no neighbours.
    pairs = nearest(x).index[:, 1:4]
    near = np.linalg.norm(codes[:, None] - codes[pairs], axis=2).mean()
    assert near < 0.3 * np.linalg.norm(codes[:, None] - codes, axis=2).mean()


def test_assignment_in_parts_is_nearly_the_best(monkeypatch):
    coordinates = np.random.default_rng(0).standard_normal((240, 2))
    white = (coordinates - coordinates.mean(0)) / coordinates.std(0)
    best = assigned(coordinates)
    monkeypatch.setattr(of_points, "ASSIGNED", 60)
    parts = assigned(coordinates)
    np.testing.assert_allclose(np.sort(parts[:, 0]), np.sort(best[:, 0]))
    cost = [np.square(codes - white).sum(1).mean() for codes in (best, parts)]
    assert cost[0] <= cost[1] + 1e-9 < 0.5  # of codes given at random it is 4


def test_a_self_consistent_width_is_the_noise_from_wherever_it_starts():
    _, x = curve("arc", 400)
    comparing, codes = Comparing.of(x, x, None), by_rank(np.arctan2(x[:, 1], x[:, 0]))
    found = comparing.self_consistent(codes)
    assert found == pytest.approx(NOISE, rel=0.12)
    assert comparing.fitted(codes, found)[1] == pytest.approx(found, rel=0.02)
    # The residual of another width goes half of the way there: (s0^2 + s^2) / 2 of one dimension across and one along.
    for width in (0.05, 0.2):
        expected = math.sqrt((NOISE**2 + width**2) / 2)
        assert comparing.fitted(codes, width)[1] == pytest.approx(expected, rel=0.12)


def test_the_width_by_validation_is_among_those_that_validate_best():
    share, x = curve("arc", 300)
    comparing = Comparing.of(x, curve("arc", 200, seed=1)[1], None)
    found = comparing.choose({"first": by_rank(share)}, "validation", None)
    likelihoods = [comparing.held_out(by_rank(share), width) for width in (0.02, found.width, 0.5)]
    assert max(likelihoods) == likelihoods[1]


def test_a_given_width_is_taken():
    _, x = curve("arc", 50)
    comparing = Comparing.of(x, x[:0], None)
    assert comparing.choose(candidates(comparing.x, 1, "best"), "given", 0.3).width == 0.3
    with pytest.raises(UserError, match="take width_rule self_consistent"):
        comparing.choose(candidates(comparing.x, 1, "best"), "validation", None)


def test_what_codes_cannot_be_is_refused():
    near = curve("arc", 20)[1]
    with pytest.raises(UserError, match="are of one latent, and the recipe has 2"):
        candidates(near, 2, "angle")
    with pytest.raises(UserError, match="unknown order of codes 'angel'"):
        candidates(near, 1, "angel")
    with pytest.raises(UserError, match="too few for 30 latent"):
        candidates(near, 30, "best")
