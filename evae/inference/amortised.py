"""The inference of a VAE: an encoder, trained with the decoder on one bound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from evae.inference.base import Inference, inference


@inference
@dataclass(frozen=True, kw_only=True)
class Amortised(Inference):
    """Every step descends on the bound of a batch, for encoder and decoder at once (Kingma & Welling, arXiv
    1312.6114)."""

    family: ClassVar[str] = "amortised"
