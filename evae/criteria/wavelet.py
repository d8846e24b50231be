"""Errors of the finest details, as wavelets see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from evae.criteria.base import criterion
from evae.criteria.images import ImageCriterion
from evae.criteria.pixels import charbonnier, check_eps
from evae.errors import UserError
from evae.lazy import TYPE_CHECKING, torch
from evae.wavelets import haar

if TYPE_CHECKING:
    from jaxtyping import Float

    from evae.shapes import Images


@criterion
@dataclass(frozen=True, kw_only=True)
class Wavelet(ImageCriterion):
    """Charbonnier errors of the horizontal, vertical and diagonal details of the first Haar level, divided by 2 so that
    they have the range of the images (LiteVAE, Sadat et al., arXiv 2405.14477, L_wavelet; its eps is not published).

    The mean is over the details, three quarters as many as the image has numbers. Sides must be even.
    """

    family: ClassVar[str] = "wavelet"

    eps: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        check_eps(self.family, self.eps)

    def check(self, image_size: int) -> None:
        if image_size % 2:
            raise UserError(f"the criterion wavelet needs images of even sides, not {image_size} px: resize them.")

    def means(self, x: Images, made: Images) -> Float[torch.Tensor, " n"]:
        # Of the difference, since the transform is linear; gradients reach the reconstructions.
        details = haar(made - x)[:, x.shape[1] :] / 2
        return charbonnier(details, self.eps).mean((1, 2, 3))
