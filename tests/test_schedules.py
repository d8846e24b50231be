"""Schedules: their values against torch's schedulers and what papers say of them."""

import math

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR

from evae.optimisation import Optimisation
from evae.schedules import cosine, cyclical, linear


def of_torch(make, steps: int) -> list[float]:
    """The learning rates of so many steps by one of torch's schedulers."""
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler, found = make(optimiser), []
    for _ in range(steps):
        found.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        scheduler.step()
    return found


@pytest.mark.parametrize(("restarts", "floor"), [(0, 0.0), (0, 0.25), (2, 0.01)])
def test_cosine_is_torchs_annealing_also_with_restarts(restarts, floor):
    steps = 60
    half_wave = steps // (2 * restarts + 1)
    expected = of_torch(lambda o: CosineAnnealingLR(o, half_wave, floor), steps)
    assert [cosine(step, steps, restarts, floor) for step in range(steps)] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("restarts", [0, 1, 3])
def test_cosine_begins_at_one_ends_at_its_floor_and_comes_back_as_often_as_it_restarts(restarts):
    steps = 4200
    values = [cosine(step, steps, restarts, 0.1) for step in range(steps + 1)]
    turns = [b for a, b, c in zip(values, values[1:], values[2:], strict=False) if (b - a) * (c - b) < 0]
    assert values[0] == 1 and values[-1] == pytest.approx(0.1)
    assert turns == pytest.approx([0.1, 1.0] * restarts, abs=1e-5)
    assert sum(values) / steps == pytest.approx(0.55, abs=1e-3)


def test_linear_rises_in_equal_steps_from_the_first_on():
    assert [linear(step, 4) for step in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]
    assert [linear(step, 2.5) for step in range(4)] == pytest.approx([0.4, 0.8, 1, 1])
    assert linear(0, 0) == linear(0, 0.5) == 1


def test_the_learning_rate_warms_up_and_falls_from_where_it_came_to():
    given = Optimisation(epochs=5, schedule="cosine", warm_up_epochs=1.0, cosine_floor=0.5)
    found = [given.learning_rate_factor(step, 4) for step in range(20)]
    assert found[:5] == [0.25, 0.5, 0.75, 1, 1]
    assert found[4:] == pytest.approx([0.75 + 0.25 * math.cos(math.pi * k / 16) for k in range(16)])


def test_one_cycle_is_a_warm_up():
    assert [cyclical(step, 100, rise=4) for step in (0, 1, 2, 3, 4, 5, 99)] == [0, 0.25, 0.5, 0.75, 1, 1, 1]
    assert {cyclical(step, 100, rise=0) for step in range(100)} == {1}


@pytest.mark.parametrize(("total", "cycles", "share"), [(40, 4, 0.5), (60, 3, 1.0), (24, 2, 0.25)])
def test_cycles_are_those_of_fu_et_al(total, cycles, share):
    """tau = mod(t - 1, T / M) / (T / M) for t = 1..T, and beta = min(1, tau / R)."""
    rise, length = share * total / cycles, total // cycles
    expected = [min(1.0, ((t - 1) % length) / length / share) for t in range(1, total + 1)]
    assert [cyclical(step, total, rise, cycles) for step in range(total)] == pytest.approx(expected)


def test_cycles_that_steps_do_not_divide_into_evenly_are_equally_long():
    values = [cyclical(step, 10, 2.0, 3) for step in range(10)]
    assert [step for step, value in enumerate(values) if value < 0.5] == [0, 4, 7]
    assert values == pytest.approx([0, 0.5, 1, 1, 1 / 3, 5 / 6, 1, 1 / 6, 2 / 3, 1])


def test_without_a_schedule_everything_counts_for_one_to_the_last_bit():
    given = Optimisation(epochs=3)
    assert {given.learning_rate_factor(step, 7) for step in range(21)} == {1.0}
    assert {given.beta_factor(step, 7) for step in range(21)} == {1.0}
