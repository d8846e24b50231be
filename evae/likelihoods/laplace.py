"""Absolute errors with a weight that the size of the images does not change."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from evae.errors import UserError
from evae.lazy import TYPE_CHECKING, F
from evae.likelihoods.base import Likelihood, likelihood

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from evae.shapes import Images


@likelihood
@dataclass(frozen=True, kw_only=True)
class Laplace(Likelihood):
    """Every pixel a Laplace variable about the output, on the scale of pixels in [-1, 1].

    The distortion is `weight` times an image's mean absolute error on that scale: L_rec of the official code of
    Rivera, "How to train your VAE" (arXiv 2309.13160), whose constant 5000 is the default. In nats that is the
    likelihood of scale b = pixels * channels / weight, without its constant ln 2b for each number: the images' size
    changes b, and not how distortion and rate are balanced. Since b is a weight, and the constant is left out, there
    is no ELBO.
    """

    family: ClassVar[str] = "laplace"
    has_elbo: ClassVar[bool] = False

    weight: float = 5000.0

    def __post_init__(self) -> None:
        if not 0 < self.weight < math.inf:
            raise UserError(f"the weight of the laplace likelihood must be more than 0, not {self.weight!r}.")

    def distortion(self, outputs: Images, x: Images) -> Float[Tensor, ""]:
        return self.weight * F.l1_loss(outputs, 2 * x - 1)

    def images(self, outputs: Images) -> Images:
        return (outputs + 1) / 2
