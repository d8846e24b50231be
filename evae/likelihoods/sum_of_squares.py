"""Squared errors, without the constant that makes them a likelihood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from evae.lazy import TYPE_CHECKING
from evae.likelihoods.base import Likelihood, likelihood

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from evae.shapes import Images


@likelihood
@dataclass(frozen=True, kw_only=True)
class SumOfSquares(Likelihood):
    """The sum of squared errors, not halved: every pixel a Gaussian variable about the output, of variance 1/2, as in
    the Poisson VAE (Vafaii et al., NeurIPS 2024).

    The constant is left out, (ln pi) / 2 for each number of an image, as there: to distortion, ELBO and log likelihood,
    448.7 nats on images of 28 px in grey.
    """

    family: ClassVar[str] = "sum_of_squares"
    has_elbo: ClassVar[bool] = True
    is_squared: ClassVar[bool] = True

    def distortion(self, outputs: Images, x: Images) -> Float[Tensor, ""]:
        return (outputs - x).square().sum() / len(x)

    def images(self, outputs: Images) -> Images:
        return outputs

    def expected_distortions(self, outputs: Images, mean: Images, variance: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        return (outputs - mean).flatten(1).square().sum(1) + variance
