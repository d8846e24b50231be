"""Schedules: what a learning rate or a weight counts for at a step of a training, counted from 0. Pure functions."""

import math


def linear(step: int, rise: float) -> float:
    """A straight line from 0 that is 1 at the end of `rise` steps, of which the first already counts; 1 afterwards."""
    return min(1.0, (step + 1) / rise) if rise > 0 else 1.0


def cosine(step: float, steps: float, restarts: int = 0, floor: float = 0.0) -> float:
    """A cosine from 1 down to `floor` at the end of so many `steps`; with restarts it goes up and down again as often,
    in half-waves of steps / (2 restarts + 1), as in the official code of the Poisson VAE (Vafaii et al., 2024).

    Without restarts that is the annealing of Loshchilov & Hutter (arXiv 1608.03983, eq. 5); theirs jump up.
    """
    half_waves = step / steps * (2 * restarts + 1)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * half_waves))


def cyclical(step: int, steps: int, rise: float, cycles: int = 1) -> float:
    """In each of so many `cycles` of `steps` a straight line from 0 that is 1 after `rise` steps, and 1 from there on
    (Fu et al., arXiv 1903.10145: their M is `cycles`, and their R is rise * cycles / steps)."""
    within = step * cycles % steps / cycles
    return min(1.0, within / rise) if rise > 0 else 1.0
