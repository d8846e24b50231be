"""What every likelihood family offers: the distortion, and the images that a decoder's outputs mean."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from evae.errors import UserError
from evae.lazy import TYPE_CHECKING, torch
from evae.registry import Registry

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor, nn

    from evae.shapes import Data, Images


@dataclass(frozen=True, kw_only=True)
class Likelihood(ABC):
    """A likelihood family with its hyperparameters. It holds no state, and no tensors but those of a module that it may
    `build`, which a model trains and keeps.

    `outputs` below are what the decoder yields, of the images' shape. Where `has_elbo`, the distortion is the whole
    negative log likelihood, but for a constant that is the same for all models, so that it makes an ELBO with an exact
    rate. Where `of_levels` it is that of the 256 levels that a number of an image can have: a probability, of which it
    makes sense to say how many bits a number takes.
    """

    family: ClassVar[str]
    has_elbo: ClassVar[bool]
    of_levels: ClassVar[bool] = False
    has_distortion: ClassVar[bool] = True
    """Whether it says what a wrong image costs: where it does not, criteria must."""
    has_scale: ClassVar[bool] = False
    """Whether it has an `error_scale`."""
    is_squared: ClassVar[bool] = False
    """Whether the distortion is the sum of squared errors of the outputs."""
    takes_points: ClassVar[bool] = False
    """Whether the distortion is the whole negative log density of any real numbers, points and not images alone."""

    @classmethod
    def for_points(cls) -> Likelihood:
        """With what suits points where nothing is said."""
        return cls()

    def build(self) -> nn.Module | None:
        """What the family learns beside the decoder: a module whose parameters are trained with the model's, or None.
        Its first values may be drawn from torch's global generator."""
        return None

    def with_learned(self, module: nn.Module) -> Likelihood:
        """This likelihood with what it has built, which its methods find as `learned`."""
        bound = copy.copy(self)
        object.__setattr__(bound, "learned", module)
        return bound

    def shown(self) -> dict[str, float]:
        """What it has learned, for people: numbers by name, which the rows of epochs have as `likelihood_<name>`."""
        return {}

    def error_scale(self, like: Images) -> Float[Tensor, ""]:
        """What the distortion divides errors of pixels in [-1, 1] by, with gradients where a model learns it, on the
        device and of the type of this tensor. Families have it that have one for all numbers of an image."""
        raise NotImplementedError

    @abstractmethod
    def distortion(self, outputs: Images, x: Images) -> Float[Tensor, ""]:
        """Nats per image, summed over pixels and channels: of images x in [0, 1], averaged over them."""

    def distortions(self, outputs: Images, x: Images) -> Float[Tensor, " n"]:
        """The distortion of each image."""
        return torch.func.vmap(lambda out, one: self.distortion(out[None], one[None]))(outputs, x)

    def of_pairs(self, outputs: Tensor, x: Tensor) -> Float[Tensor, "n k"]:
        """(n, k), float64: the distortion of each of n rows of data with each of k outputs."""
        n, k = len(x), len(outputs)
        each = self.distortions(outputs.repeat(n, 1, 1, 1), x.repeat_interleave(k, 0))
        return each.double().view(n, k)

    def draw(self, outputs: Images, generator: torch.Generator) -> Images:
        """Data drawn as the outputs say; by default their means."""
        return self.images(outputs)

    def expected_distortions(self, outputs: Data, mean: Data, variance: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """The mean distortion of each output over data whose mean (n, ...) this is, and whose numbers' variances about
        it have this sum: for a decoder that learns weighted means. Families whose distortion is neither linear nor
        quadratic in the data do not know it."""
        raise UserError(f"the {self.family} likelihood does not know its mean over data from their mean and variance.")

    @property
    def knows_expectation(self) -> bool:
        """Whether the family has `expected_distortions`."""
        return type(self).expected_distortions is not Likelihood.expected_distortions

    def fit_expected(  # noqa: B027
        self, outputs: Data, mean: Data, variance: Float[Tensor, " n"], weight: Float[Tensor, " n"], least: float
    ) -> None:
        """Put what is learned where the sum of `expected_distortions`, counted by the weight, is least, if that has a
        closed form; a scale, at `least` there."""

    @abstractmethod
    def images(self, outputs: Images) -> Images:
        """Mean images, on the scale where black is 0 and white is 1. Those of an unbounded family may leave it."""


likelihood: Registry[type[Likelihood]] = Registry("likelihood")
"""The families by name, and the decorator that adds one."""
