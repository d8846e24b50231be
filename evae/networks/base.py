"""What every network family offers: a recipe that builds an encoder and a decoder."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from torch import nn


@dataclass(frozen=True, kw_only=True)
class Network(ABC):
    """A network family with its hyperparameters; what it builds follows from the images and the latents."""

    family: ClassVar[str]

    @abstractmethod
    def build(self, image_size: int, channels: int, latent: int, heads: int) -> tuple[nn.Module, nn.Module]:
        """The encoder and the decoder for square images of `image_size` pixels a side.

        The encoder maps images (n, channels, image_size, image_size) in [0, 1] to (n, heads * latent), the
        decoder codes (n, latent) to logits of the images' shape. Raises `UserError` where the family cannot.
        """
