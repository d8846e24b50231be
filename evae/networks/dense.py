"""Dense networks of a given width, for points and other data of few numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from evae.errors import UserError
from evae.lazy import nn
from evae.networks.base import Network, check_latent, check_width, network
from evae.sizes import ImageSize, sides

HIDDEN = 128


@network
@dataclass(frozen=True, kw_only=True)
class Dense(Network):
    """An encoder and a decoder of `layers` hidden layers each, with 128 * `width` SiLU units in every one. Nothing is
    normalised, so that the outputs are smooth functions of the code, and reach any number.
    """

    family: ClassVar[str] = "dense"
    takes_points: ClassVar[bool] = True
    takes_rectangles: ClassVar[bool] = True

    width: float = 1.0
    layers: int = 2

    def __post_init__(self) -> None:
        check_width(self.width)
        if self.layers < 1:
            raise UserError(
                f"the dense networks need at least 1 hidden layer, got {self.layers}: take linear for none."
            )

    def check(self, image_size: ImageSize, latent: int) -> None:
        check_latent(latent)

    def build(self, image_size: ImageSize, channels: int, latent: int, heads: int) -> tuple[nn.Module, nn.Module]:
        self.check(image_size, latent)
        shape = channels, *sides(image_size)
        numbers = math.prod(shape)
        encoder = nn.Sequential(nn.Flatten(), *self._stack(numbers, heads * latent))
        return encoder, nn.Sequential(*self._stack(latent, numbers), nn.Unflatten(1, shape))

    def _stack(self, before: int, after: int) -> list[nn.Module]:
        hidden = max(1, round(HIDDEN * self.width))
        widths = [before, *[hidden] * self.layers]
        inner = [part for a, b in pairwise(widths) for part in (nn.Linear(a, b), nn.SiLU())]
        return [*inner, nn.Linear(hidden, after)]
