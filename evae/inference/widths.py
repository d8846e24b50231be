"""Before training: which width the posterior weights have, and which of several orders the codes follow.

Both are compared with a ridge regression in the decoder's place, so that nothing of this waits for a network.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from evae.errors import UserError
from evae.inference import ridge
from evae.inference.bound import gaussian, log_likelihood
from evae.inference.neighbours import DENSE, Neighbours, nearest
from evae.inference.weights import kernel_weights, targets

RULES = ("given", "validation", "self_consistent")
ROUNDS, TOLERANCE = 30, 0.005
LEAST = 1e-3
"""Of the scale of neighbourhoods: no width is sought below."""
GRID = tuple(2.0 ** (step / 2) for step in range(-6, 5))
"""Widths among which "validation" chooses, in units of that scale."""


@dataclass(frozen=True)
class Choice:
    """The `order` that was taken, the `width`, and the bound of the stand-in that both gave, in nats a point."""

    order: str
    width: float
    bound: float


@dataclass(frozen=True)
class Comparing:
    """Training points (N, d) with their neighbours, and validation points, on which widths and orders are compared: of
    many, the first `DENSE`."""

    x: np.ndarray
    neighbours: Neighbours
    validation: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, validation: np.ndarray, count: int | None) -> Comparing:
        few = x[:DENSE]
        return cls(few, nearest(few, count), validation[:DENSE])

    def choose(self, orders: Mapping[str, np.ndarray], rule: str, width: float | None) -> Choice:
        """By the rule of `RULES` and, of the orders (their codes by name), the highest bound."""
        orders = {name: codes[: len(self.x)] for name, codes in orders.items()}
        if rule == "given":
            return self._best({name: width for name in orders}, orders)
        if rule == "self_consistent":
            return self._best({name: self.self_consistent(codes) for name, codes in orders.items()}, orders)
        if not len(self.validation):
            raise UserError("there are no validation points to choose the width by: take width_rule self_consistent")
        tried = [self._best(dict.fromkeys(orders, times * self.neighbours.scale), orders) for times in GRID]
        return max(tried, key=lambda choice: self.held_out(orders[choice.order], choice.width))

    def self_consistent(self, codes: np.ndarray) -> float:
        """The width s that is the scale s which regression with weights of that width leaves.

        Across a d-dimensional surface in D dimensions the latter is ((D - d) s0^2 + d s^2) / D for noise s0, of which
        s0 is the only fixed point, reached by a factor d / D a round.
        """
        width, least = self.neighbours.scale, LEAST * self.neighbours.scale
        for _ in range(ROUNDS):
            before, width = width, max(least, self.fitted(codes, width)[1])
            if abs(width - before) <= TOLERANCE * before:
                break
        return width

    def fitted(self, codes: np.ndarray, width: float) -> tuple[ridge.Ridge, float, float]:
        """The stand-in for that width, its scale in closed form, and its bound in nats a point."""
        weights = kernel_weights(self.neighbours, width)
        wanted = targets(weights, self.x)
        decoder = ridge.fit(codes, wanted)
        scale = max(wanted.scale(decoder(codes)), np.finfo(float).tiny ** 0.5)
        density = -0.5 * self.x.shape[1] * (1 + math.log(2 * math.pi) + 2 * math.log(scale))
        return decoder, scale, density + float(weights.entropy.mean()) - math.log(len(self.x))

    def held_out(self, codes: np.ndarray, width: float) -> float:
        """Mean log likelihood of the validation points, in nats."""
        decoder, scale, _ = self.fitted(codes, width)
        return float(log_likelihood(gaussian(self.validation, decoder(codes), scale)).mean())

    def _best(self, widths: Mapping[str, float], orders: Mapping[str, np.ndarray]) -> Choice:
        found = [Choice(name, width, self.fitted(orders[name], width)[2]) for name, width in widths.items()]
        return max(found, key=lambda choice: choice.bound)
