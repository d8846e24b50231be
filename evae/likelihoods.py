"""Likelihood families: what a decoder's outputs say about the pixels, and what a wrong pixel costs."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from evae.errors import UserError
from evae.lazy import TYPE_CHECKING, F, torch
from evae.registry import Registry

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from evae.shapes import Images


@dataclass(frozen=True, kw_only=True)
class Likelihood(ABC):
    """A likelihood family with its hyperparameters; it holds no tensors and no state.

    `outputs` below are what the decoder yields, of the images' shape. Where `has_elbo`, the distortion is the whole
    negative log likelihood, but for a constant that is the same for all models, so that it makes an ELBO with an exact
    rate. Where `of_levels` it is that of the 256 levels
    that a number of an image can have: a probability, of which it makes sense to say how many bits a number takes.
    """

    family: ClassVar[str]
    has_elbo: ClassVar[bool]
    of_levels: ClassVar[bool] = False
    is_squared: ClassVar[bool] = False
    """Whether the distortion is the sum of squared errors of the outputs."""

    @abstractmethod
    def distortion(self, outputs: Images, x: Images) -> Float[Tensor, ""]:
        """Nats per image, summed over pixels and channels: of images x in [0, 1], averaged over them."""

    def distortions(self, outputs: Images, x: Images) -> Float[Tensor, " n"]:
        """The distortion of each image."""
        return torch.func.vmap(lambda out, one: self.distortion(out[None], one[None]))(outputs, x)

    @abstractmethod
    def images(self, outputs: Images) -> Images:
        """Mean images, on the scale where black is 0 and white is 1. Those of an unbounded family may leave it."""


likelihood: Registry[type[Likelihood]] = Registry("likelihood")
"""The families by name, and the decorator that adds one."""


@likelihood
@dataclass(frozen=True, kw_only=True)
class Bernoulli(Likelihood):
    """Every pixel a Bernoulli variable with the output as its logit (Kingma & Welling, arXiv 1312.6114, appendix C).

    Grey values in between are taken for its expectation, as everywhere in the field: of other than black and white
    images, what is called their log likelihood is minus a cross-entropy, and no probability of them.
    """

    family: ClassVar[str] = "bernoulli"
    has_elbo: ClassVar[bool] = True

    def distortion(self, outputs: Images, x: Images) -> Float[Tensor, ""]:
        # One division, here: a mean over pixels or latents would silently change what beta means.
        return F.binary_cross_entropy_with_logits(outputs, x, reduction="sum") / len(x)

    def images(self, outputs: Images) -> Images:
        return torch.sigmoid(outputs)


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
