"""Curves with noise around them: points whose true density is known, so that a model's can be compared with it.

Of all of them z ~ N(0, 1) and x ~ N(f(z), noise^2 I). Figure-8, circle and absolute value are in the manner of Yacoby
et al., "Failure modes of variational autoencoders" (arXiv 2007.07124), whose text was not at hand.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from evae.errors import UserError, unknown

GRID, REACH = 4001, 7.0
"""Points of the grid in z on which the density is summed, and how far it reaches."""
LEAST_NOISE, LEAST_SHARE = 0.02, 0.6
"""Of any curve, and of the farthest that neighbours on the grid are apart on it: with less noise, they would show in
the density as places of their own."""
CHUNK = 250

Shape = Callable[[np.ndarray], tuple[np.ndarray, ...]]


def _share(z: np.ndarray) -> np.ndarray:
    """Which share of all points comes before z: uniform in [0, 1]."""
    from scipy.special import ndtr  # slow to import

    return ndtr(z)


def _arc(z: np.ndarray) -> tuple[np.ndarray, ...]:
    angle = 2.4 * _share(z) + 0.3
    return np.cos(angle), np.sin(angle)


def _abs(z: np.ndarray) -> tuple[np.ndarray, ...]:
    return np.abs(z), np.abs(z)


def _moon(z: np.ndarray) -> tuple[np.ndarray, ...]:
    return z, z**2 / 2 - 0.5


def _circle(z: np.ndarray) -> tuple[np.ndarray, ...]:
    angle = 2 * math.pi * _share(z)
    return np.cos(angle), np.sin(angle)


def _figure_8(z: np.ndarray) -> tuple[np.ndarray, ...]:
    angle = (0.6 + 1.8 * _share(z)) * math.pi
    below = np.sin(angle) ** 2 + 1
    return math.sqrt(0.5) * np.cos(angle) / below, math.sqrt(2) * np.cos(angle) * np.sin(angle) / below


def _spiral(z: np.ndarray) -> tuple[np.ndarray, ...]:
    share = _share(z)
    radius, angle = 0.2 + 1.3 * share, 4 * math.pi * share
    return radius * np.cos(angle), radius * np.sin(angle)


def _clusters(z: np.ndarray) -> tuple[np.ndarray, ...]:
    """Five places on a circle, between which the curve hurries: continuous, as a network is."""
    along = 5 * _share(z)
    whole = np.floor(along)
    angle = 2 * math.pi / 5 * (whole + 0.5 * (1 + np.tanh(50 * (along - whole - 0.5))))
    return np.cos(angle), np.sin(angle)


def _helix(z: np.ndarray) -> tuple[np.ndarray, ...]:
    share = _share(z)
    angle = 3 * math.pi * share
    return np.cos(angle), np.sin(angle), 2 * share - 1


SHAPES: dict[str, tuple[Shape, float, bool]] = {
    "arc": (_arc, 0.1, False),
    "abs": (_abs, 0.1, False),
    "moon": (_moon, 0.2, False),
    "circle": (_circle, 0.1, True),
    "figure-8": (_figure_8, math.sqrt(0.02), False),
    "spiral": (_spiral, 0.05, False),
    "clusters": (_clusters, 0.15, True),
    "helix": (_helix, 0.15, False),
}
"""f, the usual noise, and whether the curve ends where it begins."""


@dataclass(frozen=True)
class Curve:
    """The model that made a set of points: `noise` is the standard deviation in every direction.

    Raises UserError for a shape that is not known, and noise that is too little for the density to be summed.
    """

    shape: str
    noise: float

    def __post_init__(self) -> None:
        if self.shape not in SHAPES:
            raise unknown("set of points", self.shape, SHAPES)
        if not self.least_noise <= self.noise < math.inf:
            raise UserError(f"the noise of {self.shape} must be at least {self.least_noise:.2g}, got {self.noise:g}")

    @property
    def least_noise(self) -> float:
        """The least with which the sum over the grid is the density of the curve, as far as |z| < 4."""
        z = np.linspace(-REACH, REACH, GRID)
        apart = np.linalg.norm(np.diff(self.at(z[np.abs(z) < 4]), axis=0), axis=1).max()
        return max(LEAST_NOISE, math.ceil(100 * LEAST_SHARE * apart) / 100)

    @property
    def is_closed(self) -> bool:
        """Whether the curve ends where it begins."""
        return SHAPES[self.shape][2]

    def at(self, z: np.ndarray) -> np.ndarray:
        """f(z), (n, d) float64, of latents (n,)."""
        return np.stack(SHAPES[self.shape][0](np.asarray(z, dtype=np.float64)), axis=1)

    def sample(self, count: int, *key: int) -> tuple[np.ndarray, np.ndarray]:
        """(latents (count,), points (count, d)) of the random stream `key`: of fewer, the first of more."""
        latents, noise = (np.random.default_rng([*key, part]) for part in (0, 1))
        z = latents.standard_normal(count)
        mean = self.at(z)
        return z, mean + self.noise * noise.standard_normal(mean.shape)

    def known_of(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """ln p(x) in nats, and E[z | x], of points (n, d): (n,) each."""
        z = np.linspace(-REACH, REACH, GRID)
        mean, dimensions = self.at(z), np.shape(x)[1]
        constant = dimensions * math.log(2 * math.pi * self.noise**2) + math.log(2 * math.pi)
        prior = math.log(z[1] - z[0]) - 0.5 * (constant + z**2)
        densities, latents = [], []
        for first in range(0, len(x), CHUNK):
            some = np.asarray(x[first : first + CHUNK], dtype=np.float64)
            square = (some**2).sum(1)[:, None] - 2 * some @ mean.T + (mean**2).sum(1)
            logs = prior - 0.5 * square / self.noise**2
            most = logs.max(1, keepdims=True)
            weights = np.exp(logs - most)
            total = weights.sum(1)
            densities.append(np.log(total) + most[:, 0])
            latents.append(weights @ z / total)
        return np.concatenate(densities), np.concatenate(latents)

    def log_density(self, x: np.ndarray) -> np.ndarray:
        """ln p(x) in nats of points (n, d): (n,)."""
        return self.known_of(x)[0]
