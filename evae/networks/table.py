"""A free table in the decoder's place: what weights over training points give without any network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from evae.errors import UserError
from evae.lazy import TYPE_CHECKING
from evae.networks.base import Network, check_latent, check_width, network
from evae.sizes import ImageSize, sides

if TYPE_CHECKING:
    from torch import nn


@network
@dataclass(frozen=True, kw_only=True)
class Table(Network):
    """The decoder is a table of `rows` outputs, one for each of as many equally likely intervals of the first latent,
    and the encoder that of `dense`.

    As many rows as training points, whose codes are the prior's quantiles, make of MAPA-inspired inference a
    mean-shifted kernel density: a row is the mean of the points that its own point's weights give it (Comaniciu & Meer,
    "Mean shift", 2002), and nothing joins it to its neighbours. No gradient reaches a code.
    """

    family: ClassVar[str] = "table"
    takes_points: ClassVar[bool] = True
    takes_rectangles: ClassVar[bool] = True

    rows: int = 600
    width: float = 1.0

    def __post_init__(self) -> None:
        check_width(self.width)
        if self.rows < 1:
            raise UserError(f"the table needs at least 1 row, got {self.rows}: as many as there are training points.")

    def check(self, image_size: ImageSize, latent: int) -> None:
        check_latent(latent)

    def build(self, image_size: ImageSize, channels: int, latent: int, heads: int) -> tuple[nn.Module, nn.Module]:
        from evae.networks.dense import Dense
        from evae.networks.table_decoder import TableDecoder

        encoder, _ = Dense(width=self.width).build(image_size, channels, latent, heads)
        return encoder, TableDecoder(self.rows, (channels, *sides(image_size)))
