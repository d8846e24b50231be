"""What families share whose codes are maps, and whose decoder is that of the Stable Diffusion VAE."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from evae.errors import unknown
from evae.lazy import nn
from evae.networks.base import Network, check_latent, check_multiple, check_width
from evae.sizes import ImageSize, sides

CHANNELS = 128
LEVELS = {4: (1, 2, 4), 8: (1, 2, 4, 4), 16: (1, 1, 2, 2, 4)}
"""Multiples of the channels, the finest level first, by what the sides are divided by: those of kl-f4, kl-f8 and kl-f16
(Rombach et al., arXiv 2112.10752)."""
KINDS = ("group", "smc")


@dataclass(frozen=True, kw_only=True)
class MapNetwork(Network):
    """Code maps whose sides are those of the images divided by `downsampling`: 4, 8 or 16.

    `width` multiplies the encoder's channels, `decoder_width` the decoder's, of which 1 has 128 and multiples: for 4
    latents in colour, 49.49 million parameters. `normalisation` and `decoder_normalisation` are "group" (GroupNorm with
    32 groups, or the greatest number below that divides the channels: 16 for 16 channels) or "smc" (self-modulated
    convolutions: LiteVAE, arXiv 2405.14477, section 4.2). `one_by_one` adds 1x1 convolutions before and after the code.
    The decoder yields logits, or pixels in [-1, 1].

    With GroupNorm, the decoder's weights are those of diffusers' AutoencoderKL by name: "decoder.maps." of a model
    stands for its "decoder.", "decoder.post_quant_conv." for "post_quant_conv." and "encoder.quant_conv." for
    "quant_conv.".
    """

    of_any_size: ClassVar[bool] = True
    takes_rectangles: ClassVar[bool] = True

    width: float = 1.0
    decoder_width: float = 1.0
    downsampling: int = 8
    normalisation: str = "group"
    decoder_normalisation: str = "group"
    one_by_one: bool = False

    def __post_init__(self) -> None:
        check_width(self.width)
        check_width(self.decoder_width)
        for kind in (self.normalisation, self.decoder_normalisation):
            if kind not in KINDS:
                raise unknown("normalisation", kind, KINDS)
        if self.downsampling not in LEVELS:
            raise unknown("downsampling", str(self.downsampling), map(str, LEVELS))

    @classmethod
    def of_width(cls, width: float) -> Network:
        return cls(width=width, decoder_width=width)

    def check(self, image_size: ImageSize, latent: int) -> None:
        check_latent(latent)
        # A code of one place would leave GroupNorm nothing to normalise over.
        check_multiple(self.family, image_size, self.downsampling, least=2)

    def code_shape(self, image_size: ImageSize, latent: int) -> tuple[int, ...]:
        height, width = sides(image_size)
        return latent, height // self.downsampling, width // self.downsampling

    @abstractmethod
    def maps(self, channels: int, outputs: int) -> nn.Module:
        """The encoder's maps (n, outputs, h / downsampling, w / downsampling) of images (n, channels, h, w) in
        [-1, 1]."""

    def build(self, image_size: ImageSize, channels: int, latent: int, heads: int) -> tuple[nn.Module, nn.Module]:
        """See `Network.build`. Both take images of any other size too, whose sides are multiples of `downsampling`, as
        `evae.networks.code_maps.FromCode` says."""
        from evae.networks.code_maps import decoder, encoder

        self.check(image_size, latent)
        outputs, shape = heads * latent, self.code_shape(image_size, latent)
        maps = encoder(self.maps(channels, outputs), channels, outputs, one_by_one=self.one_by_one)
        channels_of = widths(self.decoder_width, self.downsampling)
        parts = {"one_by_one": self.one_by_one, "bands": self.decodes_bands}
        return maps, decoder(shape, channels, channels_of, self.decoder_normalisation, **parts)

    @property
    def decodes_bands(self) -> bool:
        """Whether the decoder yields the Haar transform of images."""
        return False


def widths(width: float, downsampling: int) -> list[int]:
    """The channels of each level, the finest first."""
    return [max(1, round(width * CHANNELS)) * multiple for multiple in LEVELS[downsampling]]
