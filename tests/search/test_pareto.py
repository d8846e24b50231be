"""Order among points with several objectives, against definitions spelled out point by point."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from evae.search.fronts import Fronts
from evae.search.pareto import dominates, layers, signed, spread

POINTS = arrays(float, st.tuples(st.integers(0, 9), st.integers(1, 3)), elements=st.integers(0, 4).map(float))
"""Few distinct values, so that ties are common."""


def slow_layers(values: np.ndarray) -> list[int]:
    """The front, then the front of the rest, by comparing every pair."""
    rank, layer = {}, 0
    while len(rank) < len(values):
        left = [i for i in range(len(values)) if i not in rank]
        front = [
            i
            for i in left
            if not any((values[j] <= values[i]).all() and (values[j] != values[i]).any() for j in left if j != i)
        ]
        rank |= dict.fromkeys(front, layer)
        layer += 1
    return [rank[i] for i in range(len(values))]


@given(POINTS)
def test_layers_are_fronts_of_what_is_left(values):
    assert layers(values).tolist() == slow_layers(values)


def come(values: np.ndarray) -> Fronts:
    """The points, one after another."""
    fronts = Fronts(values.shape[1])
    for value in values:
        fronts.add(value)
    return fronts


def place(values: np.ndarray) -> int:
    """The place of the last."""
    return come(values).place()


@given(POINTS)
def test_fronts_of_points_that_come_one_by_one_are_those_of_all(values):
    rank = layers(values)
    assert [front.tolist() for front in come(values).fronts()] == [
        np.flatnonzero(rank == layer).tolist() for layer in range(rank.max(initial=-1) + 1)
    ]


@pytest.mark.parametrize("correlation", [-0.9, 0.0, 0.9])
def test_so_are_those_of_many_and_the_place_is_that_among_all(correlation):
    rng = np.random.default_rng(0)
    values = rng.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], size=600).round(2)
    fronts = Fronts(2)
    for n, value in enumerate(values, 1):
        fronts.add(value)
        if n % 50 == 0:
            rank = layers(values[:n])
            assert all((rank[front] == layer).all() for layer, front in enumerate(fronts.fronts()))
            alike = np.flatnonzero(rank == rank[-1])
            assert fronts.place() == (rank < rank[-1]).sum() + spread(values[alike]).index(len(alike) - 1)


@given(POINTS)
def test_the_places_are_an_order_in_which_nothing_comes_before_its_dominator(values):
    places = [place(np.roll(values, -1 - i, axis=0)) for i in range(len(values))]
    ties = len(np.unique(values, axis=0)) < len(values)  # which of them is first hangs on the order they are given in
    assert ties or sorted(places) == list(range(len(values)))
    above = dominates(values)
    assert all(places[i] < places[j] for i, j in zip(*np.nonzero(above), strict=True))


@given(arrays(float, st.tuples(st.integers(1, 9), st.just(1)), elements=st.floats(-9, 9), unique=True))
def test_of_one_objective_the_place_is_that_of_its_value(values):
    assert place(values) == (values[:, 0] < values[-1, 0]).sum()


def test_a_net_takes_both_ends_of_a_front_before_its_middle():
    line = np.array([[x, 1 - x] for x in (0.4, 0.0, 0.5, 1.0, 0.45)])
    assert set(spread(line)[:2]) == {1, 3} and spread(line)[2] == 2


def test_a_net_does_not_depend_on_units():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(20, 2))
    assert spread(values) == spread(values * [1000.0, 0.001])


def test_directions_make_signs_and_what_is_missing_nan():
    rows = [{"a": 1.0, "b": 2.0}, {"a": 3.0}, {"a": None, "b": 4}]
    found = signed(rows, [("a", "min"), ("b", "max")])
    np.testing.assert_array_equal(found, [[1, -2], [3, np.nan], [np.nan, -4]])


@pytest.mark.parametrize("objectives", [1, 2])
def test_nothing_has_no_order(objectives):
    empty = signed([], [("a", "min")] * objectives)
    assert empty.shape == (0, objectives) and spread(empty) == [] and not len(layers(empty))
