"""Dense networks with one wide hidden layer each way."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from evae.errors import UserError
from evae.lazy import nn
from evae.networks.base import Network, check_latent, check_width, network
from evae.networks.linear import STD
from evae.sizes import ImageSize, sides

ENCODER, DECODER = 16, 8
"""Hidden numbers for each of an image's."""
MOST = 100_000_000
"""Weights: with their gradients and an optimiser's moments, 1.6 GB."""


@network
@dataclass(frozen=True, kw_only=True)
class Mlp(Network):
    """The dense encoder and decoder of the Poisson VAE (Vafaii et al., NeurIPS 2024): beside linear layers a residual
    block, normalised, with a hidden layer 16 times as wide as the image (8 in the decoder).

    `width` multiplies the hidden layers. The official code's dropout of 0.1 in the blocks is left out: its noise would
    not be the same for any number of processes.
    """

    family: ClassVar[str] = "mlp"
    takes_rectangles: ClassVar[bool] = True

    width: float = 1.0

    def __post_init__(self) -> None:
        check_width(self.width)

    def check(self, image_size: ImageSize, latent: int) -> None:
        check_latent(latent)

    def build(self, image_size: ImageSize, channels: int, latent: int, heads: int) -> tuple[nn.Module, nn.Module]:
        """See `Network.build`. Raises `UserError` for images that would take more than `MOST` weights."""
        from evae.networks.residual import normalised_dense

        self.check(image_size, latent)
        shape = channels, *sides(image_size)
        pixels = math.prod(shape)
        hidden = [max(1, round(self.width * times * pixels)) for times in (ENCODER, DECODER)]
        weights = 2 * sum(hidden) * pixels + pixels * pixels + (heads + 1) * latent * pixels
        if weights > MOST:
            raise UserError(
                f"the mlp networks would have {weights / 1e6:,.0f} million weights for images of "
                f"{' x '.join(map(str, shape))}: take smaller images, a smaller size, or the networks conv or linear."
            )
        encoder = [nn.Flatten(), normalised_dense(pixels, hidden[0]), nn.Linear(pixels, heads * latent)]
        nn.init.normal_(encoder[-1].weight, std=STD)
        nn.init.zeros_(encoder[-1].bias)
        decoder = [nn.Linear(latent, pixels), nn.SiLU(), normalised_dense(pixels, hidden[1]), nn.SiLU()]
        decoder += [nn.Linear(pixels, pixels), nn.Unflatten(1, shape)]
        return nn.Sequential(*encoder), nn.Sequential(*decoder)
