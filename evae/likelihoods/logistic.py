"""Levels of grey: probabilities, of which bits can be counted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from evae.errors import UserError
from evae.lazy import TYPE_CHECKING, F, torch
from evae.likelihoods.base import Likelihood, likelihood

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from evae.shapes import Images


@likelihood
@dataclass(frozen=True, kw_only=True)
class Logistic(Likelihood):
    """Every number of an image one of 256 levels, with the probability that a logistic variable about the output gives
    to its interval; the outermost levels have all that lies beyond (Kingma et al., arXiv 1606.04934, section 6).

    Outputs are on the scale of pixels in [-1, 1], `scale` on that of [0, 1]: the same for all pixels.
    """

    family: ClassVar[str] = "logistic"
    has_elbo: ClassVar[bool] = True
    of_levels: ClassVar[bool] = True

    scale: float = 0.05

    def __post_init__(self) -> None:
        if not 0 < self.scale < math.inf:
            raise UserError(f"the scale of the logistic likelihood must be more than 0, not {self.scale!r}.")

    def distortion(self, outputs: Images, x: Images) -> Float[Tensor, ""]:
        # With the sigmoid s, s(b) - s(a) = s(b) s(-a) (1 - e^(a - b)), in which b - a is the same for all levels.
        middle, half = (x - self.images(outputs)) / self.scale, 0.5 / 255 / self.scale
        above = torch.where(x < 1, F.logsigmoid(middle + half), 0.0)
        below = torch.where(x > 0, F.logsigmoid(half - middle), 0.0)
        inner = math.log(-math.expm1(-2 * half)) * ((x > 0) & (x < 1))
        return -(above + below + inner).sum() / len(x)

    def images(self, outputs: Images) -> Images:
        return (outputs + 1) / 2
