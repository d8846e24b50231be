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
    negative log likelihood, so that it makes an ELBO with an exact rate.
    """

    family: ClassVar[str]
    has_elbo: ClassVar[bool]

    @abstractmethod
    def distortion(self, outputs: Images, x: Images) -> Float[Tensor, ""]:
        """Nats per image, summed over pixels and channels: of images x in [0, 1], averaged over them."""

    @abstractmethod
    def images(self, outputs: Images) -> Images:
        """Mean images, on the scale where black is 0 and white is 1. Those of an unbounded family may leave it."""


likelihood: Registry[type[Likelihood]] = Registry("likelihood")
"""The families by name, and the decorator that adds one."""


@likelihood
@dataclass(frozen=True, kw_only=True)
class Bernoulli(Likelihood):
    """Every pixel a Bernoulli variable with the output as its logit (Kingma & Welling, arXiv 1312.6114, appendix C).

    Grey values in between are taken for its expectation, as everywhere in the field.
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
