"""What every discriminator offers: a recipe that builds a network which tells images from reconstructions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from evae.lazy import nn
from evae.registry import Registry
from evae.sizes import ImageSize


@dataclass(frozen=True, kw_only=True)
class Discriminator(ABC):
    """A discriminator family with its hyperparameters."""

    family: ClassVar[str]
    takes_rectangles: ClassVar[bool] = False
    """Whether the family is for images that are no squares, too: it is then given (height, width) of those."""

    @classmethod
    def of_width(cls, width: float) -> Discriminator:
        """With channels `width` times as many as by default; a family without a `width` has one size."""
        return cls(width=width) if "width" in cls.__dataclass_fields__ else cls()

    def check(self, image_size: ImageSize) -> None:  # noqa: B027  (there may be nothing to check)
        """Raise UserError for images of that size in pixels that it cannot judge; without torch."""

    @abstractmethod
    def build(self, image_size: ImageSize, channels: int) -> nn.Module:
        """From images (n, channels, height, width) in [0, 1] to logits, above 0 for what looks real: a tensor
        (n, ...), or a tuple of them, whose losses are means of their own and added. Raises `UserError` where `check`
        does."""


discriminator: Registry[type[Discriminator]] = Registry("discriminator")
"""The families by name, and the decorator that adds one."""
