"""The residual networks of Rivera, "How to train your VAE" (arXiv 2309.13160), after the paper's official code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from evae.lazy import nn
from evae.networks.base import Network, check_latent, check_multiple, check_normalisation, check_width, network
from evae.sizes import ImageSize, sides

CHANNELS = 128
SMALLEST = 4  # px, the shorter side of the maps between encoder and code, and between code and decoder, at least
COLOURS = 3  # channels of the last block, for grey images too: its ReLU on a single one may never pass anything
LATENTS_PER_CHANNEL = 8  # of those maps


@network
@dataclass(frozen=True, kw_only=True)
class ResNetV2(Network):
    """Pre-activated residual blocks (He et al., arXiv 1603.05027) down to maps of 4x4 pixels and up again.

    Each stage halves or doubles the sides, so images of 32, 64, 128 or 256 px take 3, 4, 5 or 6 of them. Others are
    halved as long as both sides are even, down to 4 px: 28 and 48 px to maps of 7x7 and 6x6. A stage of
    the encoder is two blocks with an identity shortcut and one that halves, a stage of the decoder one of the
    former and one that doubles. All maps have 128 channels; `width` multiplies them, 1 is the official network. The
    maps on both sides of the code have one channel for eight latents, rounded up, whatever the width.

    The official code trains with its BatchNorm layers in inference mode, where they are scales and shifts of the
    channels ("affine"). That is the default here too: after 4 epochs on digits its validation loss was 244 and 249
    nats (two seeds), "batch" 267 and 279, "group" 265 and 262; on photos 8,525 and 8,512 against 8,497 and 8,491, and
    8,554 and 8,553, where all had hardly begun to learn (`benchmarks/results/normalisation.md`). It also makes a loss
    independent of how a batch is spread over processes.

    The LayerNorm on the images, as in the official code, hides brightness and contrast of each channel from the
    encoder. The official transposed convolutions cut the last row and column, these the first: the same networks up to
    mirrored images.
    """

    family: ClassVar[str] = "resnet_v2"
    takes_rectangles: ClassVar[bool] = True

    width: float = 1.0
    normalisation: str = "affine"

    def __post_init__(self) -> None:
        check_width(self.width)
        check_normalisation(self.normalisation)

    def check(self, image_size: ImageSize, latent: int) -> None:
        check_latent(latent)
        check_multiple(self.family, image_size, 4, least=2)

    def build(self, image_size: ImageSize, channels: int, latent: int, heads: int) -> tuple[nn.Module, nn.Module]:
        """See `Network.build`. The decoder's numbers have no activation: logits, or pixels in [-1, 1]."""
        from evae.networks.layers import EPS, Centre, glorot
        from evae.networks.residual import doubling, halving, same

        self.check(image_size, latent)
        stages, (height, across) = 0, sides(image_size)
        while not (height % 2 or across % 2) and min(height, across) >= 2 * SMALLEST:
            stages, height, across = stages + 1, height // 2, across // 2
        width, thin = max(1, round(self.width * CHANNELS)), -(-latent // LATENTS_PER_CHANNEL)
        kind = self.normalisation
        down = [b for _ in range(stages) for b in (same(width, kind), same(width, kind), halving(width, kind))]
        up = [
            block
            for after in [*[width] * (stages - 1), COLOURS]
            for block in (same(width, kind), doubling(width, after, kind))
        ]
        encoder = nn.Sequential(
            Centre(),
            # Each channel of each image for itself, with a scale and a shift for each pixel.
            nn.LayerNorm(sides(image_size), eps=EPS),
            nn.Conv2d(channels, width, 3, padding=1),
            *down,
            nn.Conv2d(width, thin, 1),
            nn.Flatten(),
            nn.Linear(thin * height * across, heads * latent),
        )
        decoder = nn.Sequential(
            nn.Linear(latent, thin * height * across),
            nn.Unflatten(1, (thin, height, across)),
            nn.Conv2d(thin, width, 3, padding=1),
            *up,
            nn.Conv2d(COLOURS, channels, 1),
        )
        return glorot(encoder), glorot(decoder)
