"""LiteVAE (Sadat et al., NeurIPS 2024, arXiv 2405.14477): a small encoder on wavelets, whose codes are maps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from evae.errors import unknown
from evae.lazy import nn
from evae.networks.base import network
from evae.networks.map_network import MapNetwork

EXTRACTORS = {"S": (16, 32, 32), "B": (32, 64, 96), "M": (64, 128, 256), "L": (64, 128, 256)}
AGGREGATORS = {"S": (16, 32, 32), "B": (32, 64, 96), "M": (32, 64, 96), "L": (64, 128, 256)}
"""The channels of the paper's encoders (tables 23, 24)."""


@network
@dataclass(frozen=True, kw_only=True)
class LiteVae(MapNetwork):
    """An encoder of the paper's `size` on the Haar transform of an image. For 4 latents in colour it has 1,038,308
    parameters (S), 6,753,252 (B), 32,752,740 (M) or 41,424,996 (L). The paper has `downsampling` 8; with 4 or 16, a
    level of the transform is left out or added.

    `shared`: one feature extractor for all levels (paper, table 19). Without `finest`, the finest level is left out
    (table 21). `wavelet_output`: the decoder yields the bands of the Haar transform at half the size, and their inverse
    the image (appendix G, of which the paper gives no result); its finest level is then at half the size. The paper
    takes "smc" for the decoder (table 4), and shows that `one_by_one` harms (table 17).
    """

    family: ClassVar[str] = "lite_vae"
    sizes: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        **{size: {"size": size} for size in EXTRACTORS},
        "micro": {"size": "S", "width": 1 / 2, "decoder_width": 1 / 16},
    }

    size: str = "B"
    shared: bool = False
    finest: bool = True
    wavelet_output: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size not in EXTRACTORS:
            raise unknown("size of LiteVAE", self.size, EXTRACTORS)

    @property
    def decodes_bands(self) -> bool:
        return self.wavelet_output

    def maps(self, channels: int, outputs: int) -> nn.Module:
        from evae.networks.lite_encoder import LiteEncoder

        extractor, aggregator = (
            [max(1, round(self.width * c)) for c in table[self.size]] for table in (EXTRACTORS, AGGREGATORS)
        )
        levels, parts = self.downsampling.bit_length() - 1, {"shared": self.shared, "finest": self.finest}
        return LiteEncoder(channels, outputs, levels, extractor, aggregator, self.normalisation, **parts)
