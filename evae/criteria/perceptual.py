"""The distance that a network which has learned to see finds between an image and its reconstruction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from evae.backbones.names import DEFAULT, DISTANCES, load
from evae.criteria.base import criterion
from evae.criteria.images import ImageCriterion
from evae.lazy import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from evae.shapes import Images


@criterion
@dataclass(frozen=True, kw_only=True)
class Perceptual(ImageCriterion):
    """The perceptual `distance` of that name (`evae.backbones`), whose network is frozen: it is loaded once a process,
    and is part of neither the model nor its weights. A distance is one number an image, and counts as often as the
    image has numbers, as in kl-f8; there it is LPIPS on VGG16, and divided by the likelihood's scale (`scaled`).
    """

    family: ClassVar[str] = "perceptual"

    distance: str = DEFAULT

    def __post_init__(self) -> None:
        super().__post_init__()
        DISTANCES[self.distance]  # raises for a name that is not known

    def check(self, image_size: int) -> None:
        DISTANCES[self.distance].find()

    def means(self, x: Images, made: Images) -> Float[Tensor, " n"]:
        return load(self.distance, x.device)((x + 1) / 2, (made + 1) / 2)
