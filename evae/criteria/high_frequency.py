"""Errors of what a blur takes away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from evae.criteria.base import criterion
from evae.criteria.images import ImageCriterion
from evae.errors import UserError
from evae.lazy import TYPE_CHECKING, F, torch

if TYPE_CHECKING:
    from jaxtyping import Float

    from evae.shapes import Images


@criterion
@dataclass(frozen=True, kw_only=True)
class HighFrequency(ImageCriterion):
    """Absolute errors of x - h * x, with a Gaussian h of `window` x `window` px and standard deviation `sigma` px
    (LiteVAE, Sadat et al., arXiv 2405.14477, L_gauss; its window and sigma are not published). Beyond its edge an
    image is mirrored.
    """

    family: ClassVar[str] = "high_frequency"

    window: int = 5
    sigma: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window < 3 or not self.window % 2:
            raise UserError(f"window of the criterion {self.family} must be an odd number from 3 on, got {self.window}")
        if not 0 < self.sigma < float("inf"):
            raise UserError(f"sigma of the criterion {self.family} must be more than 0, got {self.sigma}")

    def check(self, image_size: int) -> None:
        if image_size <= self.window // 2:
            raise UserError(
                f"the criterion {self.family} blurs with a window of {self.window} px, too wide for images of "
                f"{image_size} px: take a smaller window."
            )

    def means(self, x: Images, made: Images) -> Float[torch.Tensor, " n"]:
        # Of the difference, since a blur is linear.
        errors = made - x
        return (errors - self._blurred(errors)).abs().mean((1, 2, 3))

    def _blurred(self, images: Images) -> Images:
        half = self.window // 2
        places = torch.arange(-half, half + 1, dtype=images.dtype, device=images.device)
        line = torch.softmax(-places.square() / (2 * self.sigma**2), 0)
        grey = F.pad(images, [half] * 4, mode="reflect").flatten(0, 1)[:, None]
        return F.conv2d(F.conv2d(grey, line.view(1, 1, -1, 1)), line.view(1, 1, 1, -1)).view_as(images)
