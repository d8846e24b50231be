"""The Laplace likelihood with its scale, given or learned."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from evae.lazy import TYPE_CHECKING, torch
from evae.likelihoods.base import likelihood
from evae.likelihoods.scaled import Scaled

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from evae.shapes import Data, Images


@likelihood
@dataclass(frozen=True, kw_only=True)
class ScaledLaplace(Scaled):
    """Every number a Laplace variable about the output, of scale b = `scale`: an exact log density in nats.

    The outputs are on the scale of pixels in [-1, 1], the images and b on that of [0, 1]. Learned, this is the
    reconstruction loss of the kl-f8 autoencoder (Rombach et al., arXiv 2112.10752, official code): its e^s, which
    begins at 1, is 2 b (`error_scale`); it leaves out ln 2 for each number of a pixel in [-1, 1], while here all
    constants are counted.
    """

    family: ClassVar[str] = "scaled_laplace"
    has_elbo: ClassVar[bool] = True

    scale: float = 0.5
    learn_scale: bool = True

    def distortion(self, outputs: Images, x: Images) -> Float[Tensor, ""]:
        numbers = x.numel() // len(x)
        errors = (self.images(outputs) - x).abs().sum() / len(x)
        log_scale = self.log_scale(x)
        return errors * torch.exp(-log_scale) + numbers * (log_scale + math.log(2))

    def error_scale(self, like: Data) -> Float[Tensor, ""]:
        return 2 * torch.exp(self.log_scale(like))

    def images(self, outputs: Images) -> Images:
        return (outputs + 1) / 2

    def best_scale(self, outputs: Data, x: Data) -> Float[Tensor, ""]:
        return (self.images(outputs) - x).abs().mean()
