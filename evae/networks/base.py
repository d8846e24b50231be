"""What every network family offers: a recipe that builds an encoder and a decoder."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from evae.errors import UserError, unknown
from evae.lazy import nn
from evae.registry import Registry
from evae.sizes import ImageSize, in_px, sides

NORMALISATIONS = ("affine", "batch", "group")
SIZES: dict[str, float] = {"tiny": 0.25, "small": 0.5, "paper": 1.0, "large": 2.0}
"""Of every family, by the factor of its channels."""


@dataclass(frozen=True, kw_only=True)
class Network(ABC):
    """A network family with its hyperparameters; what it builds follows from the images and the latents."""

    family: ClassVar[str]
    is_linear: ClassVar[bool] = False
    """Whether the decoder's outputs are a matrix times the code."""
    takes_points: ClassVar[bool] = False
    """Whether the family is for points of d numbers, too: images (d channels) of one pixel."""
    of_any_size: ClassVar[bool] = False
    """Whether what is built for images of one size takes those of others too, if `check` does."""
    takes_rectangles: ClassVar[bool] = False
    """Whether the family is for images that are no squares, too: it is then given (height, width) of those."""
    sizes: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Further sizes that the family has by name, with the hyperparameters of each."""

    def check(self, image_size: ImageSize, latent: int) -> None:  # noqa: B027  (there may be nothing to check)
        """Raise UserError for images of that size in pixels, or latents, that the family cannot have; without torch."""

    def code_shape(self, image_size: ImageSize, latent: int) -> tuple[int, ...]:
        """The shape of an image's code: (latent,), or of code maps (latent, height, width), whose channels `latent`
        counts.

        It says how to look at a code; everything computes with vectors, which maps are channel by channel, row by row.
        """
        return (latent,)

    @classmethod
    def of_width(cls, width: float) -> Network:
        """With channels `width` times as many as by default; a family without a `width` has one size."""
        return cls(width=width) if "width" in cls.__dataclass_fields__ else cls()

    @classmethod
    def of_size(cls, name: str) -> Network:
        """The family in a size of `SIZES`, or one of its own `sizes`. Raises UserError for another name."""
        if name in cls.sizes:
            return cls(**cls.sizes[name])
        if name not in SIZES:
            raise unknown(f"size of {cls.family}", name, [*SIZES, *cls.sizes])
        return cls.of_width(SIZES[name])

    def autoencoder_kl(self, channels: int, latent: int) -> Mapping[str, Any] | None:
        """The arguments of diffusers' AutoencoderKL that has these networks, by the names that
        `evae.autoencoder_kl` says; None where there is none."""
        return None

    @abstractmethod
    def build(self, image_size: ImageSize, channels: int, latent: int, heads: int) -> tuple[nn.Module, nn.Module]:
        """The encoder and the decoder for images of `image_size` in pixels: the side of squares, or (height, width).

        The encoder maps images (n, channels, height, width) in [0, 1] to (n, heads * numbers) with as many
        numbers as `code_shape` has, all of the first head, then all of the second; the decoder codes (n, numbers) to
        what the likelihood reads, of the images' shape. A decoder that knows its weighted regression in closed form may
        have `regress(codes, wanted, weight)`, of which `evae.inference` makes use. Raises `UserError` where the family
        cannot.
        """


network: Registry[type[Network]] = Registry("network")
"""The families by name, and the decorator that adds one."""


def in_words(code_shape: tuple[int, ...]) -> str:
    """The shape of codes, to be read."""
    if len(code_shape) == 1:
        return f"{code_shape[0]} latent{'' if code_shape[0] == 1 else 's'}"
    return f"code maps of {' x '.join(map(str, code_shape))}"


def check_width(width: float) -> None:
    """Raise UserError for a factor of the channels that is not a positive number."""
    if not (math.isfinite(width) and width > 0):
        raise UserError(f"the networks' width must be more than 0, not {width!r}.")


def check_normalisation(kind: str) -> None:
    """Raise UserError for a name that is not among `NORMALISATIONS`."""
    if kind not in NORMALISATIONS:
        raise unknown("normalisation", kind, NORMALISATIONS)


def check_latent(latent: int) -> None:
    """Raise UserError for a latent size below 1."""
    if latent < 1:
        raise UserError(f"the latent size must be at least 1, not {latent}.")


def check_square(name: str, image_size: ImageSize) -> None:
    """Raise UserError for images that are no squares, which the networks of this name do not take."""
    if isinstance(image_size, tuple):
        theirs = ", ".join(sorted(each for each, family in network.items() if family.takes_rectangles))
        raise UserError(
            f"the {name} networks take square images, not {in_px(image_size)}. Use one number for image_size, or the "
            f"networks {theirs}."
        )


def check_image_size(name: str, image_size: ImageSize, supported: Iterable[int]) -> None:
    """Raise UserError for a side in pixels that the networks of this name lack; it names the nearest they have."""
    check_square(name, image_size)
    supported = list(supported)
    if image_size not in supported:
        nearest = min(supported, key=lambda size: abs(size - image_size))
        raise UserError(
            f"the {name} networks do not support images of {image_size} pixels a side. "
            f"Supported: {', '.join(map(str, supported))}. Use image_size {nearest}."
        )


def check_multiple(name: str, image_size: ImageSize, factor: int, least: int = 1) -> None:
    """Raise UserError for a side in pixels that is not `least` times `factor`, by which these networks divide it, or a
    greater multiple; it names the nearest that are."""
    for side in sides(image_size):
        times = side // factor
        if times < least or side % factor:
            near = sorted({factor * max(least, times), factor * max(least, times + 1)})
            whose = "" if image_size == side else f" in the place of {side}"
            raise UserError(
                f"the {name} networks take images whose sides are multiples of {factor} pixels, from {least * factor} "
                f"on, not of {side}. Use image_size {' or '.join(map(str, near))}{whose}."
            )
