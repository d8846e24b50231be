"""The discriminator of Rivera, "How to train your VAE" (arXiv 2309.13160), after the paper's official code.

It judges patches (PatchGAN, Isola et al., arXiv 1611.07004): each logit sees 63 x 63 pixels around its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from evae.errors import UserError
from evae.lazy import nn
from evae.networks.base import check_multiple, check_normalisation, check_width
from evae.networks.discriminator import Discriminator, discriminator
from evae.sizes import ImageSize

CHANNELS = (128, 128, 128, 64, 64)
STRIDES = (2, 2, 2, 1, 1, 1)
SLOPE = 0.3
"""Of LeakyReLU: Keras's default."""


@discriminator
@dataclass(frozen=True, kw_only=True)
class PatchGan(Discriminator):
    """Six 3x3 convolutions, each normalised, LeakyReLU between them; the first three halve the side.

    `width` multiplies all channels but the logits'. `normalisation` and `dropout` (a probability, after every
    convolution, the logits included) have the values that the official code trains with: it writes BatchNorm and
    dropout of 0.25 down, but calls the discriminator in inference mode, where the first is scale and shift
    ("affine") and the second nothing.

    The default holds nothing of the batches it has seen, so real and reconstructed images may come together or one
    after the other, on one process or on several, and the verdict is the same. With "batch" that is not so: the last
    normalisation makes the mean logit of a batch zero, so a batch of real images looks like one of
    reconstructions; and processes whose statistics are not synchronised train different discriminators. With "group"
    the logits have scale and shift alone, as otherwise every image's mean logit would be zero. Dropout draws from
    torch's global generator: a trial with it is not repeatable.
    """

    family: ClassVar[str] = "patchgan"
    takes_rectangles: ClassVar[bool] = True
    unnamed: ClassVar[bool] = True
    """Recipes are older than the choice: they do not name this family."""

    width: float = 1.0
    normalisation: str = "affine"
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check_width(self.width)
        check_normalisation(self.normalisation)
        if not 0 <= self.dropout < 1:
            raise UserError(f"the discriminator's dropout must be at least 0 and below 1, not {self.dropout!r}.")

    def check(self, image_size: ImageSize) -> None:
        """Raise UserError for images of which a side in pixels is no multiple of 8."""
        check_multiple("PatchGAN", image_size, 8)

    def build(self, image_size: ImageSize, channels: int) -> nn.Module:
        """From images (n, channels, height, width) in [0, 1] to logits (n, 1, height / 8, width / 8), above 0 where a
        patch looks real. Raises `UserError` for an image size that is no multiple of 8."""
        from evae.networks.layers import Centre, glorot, normalisation_layer

        self.check(image_size)
        widths = [channels, *(max(1, round(self.width * c)) for c in CHANNELS), 1]
        layers: list[nn.Module] = [Centre()]
        for index, ((before, after), stride) in enumerate(zip(pairwise(widths), STRIDES, strict=True)):
            last = index == len(STRIDES) - 1
            kind = "affine" if last and self.normalisation == "group" else self.normalisation
            layers += [nn.Conv2d(before, after, 3, stride=stride, padding=1), normalisation_layer(kind, after)]
            if not last:
                layers.append(nn.LeakyReLU(SLOPE, inplace=True))
            layers.append(nn.Dropout(self.dropout))
        return glorot(nn.Sequential(*layers))
