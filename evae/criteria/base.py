"""What every criterion offers: one more term of the loss."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from evae.errors import UserError
from evae.lazy import TYPE_CHECKING, torch
from evae.registry import Registry

if TYPE_CHECKING:
    from jaxtyping import Float

    from evae.ranks import Share
    from evae.shapes import Codes, Heads, Images


@dataclass(frozen=True)
class Seen:
    """What a criterion may look at in one step: images x in [0, 1], their reconstructions `made`, the posteriors' heads
    and the sampled codes, each (n, ...); draws of the prior, as many as the whole batch has; and the `share` of the
    batch that these rows are, with which codes of all processes are gathered.
    """

    x: Images
    made: Images
    heads: Heads
    codes: Codes
    prior: Codes
    share: Share


@dataclass(frozen=True, kw_only=True)
class Criterion(ABC):
    """A term of the loss with its hyperparameters, counted `weight` times. Its column is `train_<family>`, without the
    weight.

    It holds no tensors and no state. Those `of_images` compare images with their reconstructions (`ImageCriterion`
    says in which normalisation); with them alone a model can be trained without a likelihood.
    """

    family: ClassVar[str]
    of_images: ClassVar[bool] = False
    scaled: ClassVar[bool] = False
    """Whether the term is divided by the likelihood's scale."""

    weight: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.weight) and self.weight >= 0):
            raise UserError(f"the weight of the criterion {self.family} must be at least 0, got {self.weight}")

    def check(self, image_size: int) -> None:  # noqa: B027  (there may be nothing to check)
        """Raise UserError for images of that side in pixels that it cannot compare, or where what it needs is not on
        this machine; without torch."""

    @abstractmethod
    def term(self, seen: Seen) -> Float[torch.Tensor, ""]:
        """The term, a mean over these images (or over the batch, of whose gathered codes it may be made)."""


criterion: Registry[type[Criterion]] = Registry("criterion")
"""The families by name, and the decorator that adds one."""
