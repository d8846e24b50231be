"""Likelihoods with one scale for all numbers of an image, given or learned."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from evae.errors import UserError
from evae.lazy import TYPE_CHECKING, nn, torch
from evae.likelihoods.base import Likelihood

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from evae.shapes import Data


@dataclass(frozen=True, kw_only=True)
class Scaled(Likelihood):
    """`scale` is on the data's own scale, for images [0, 1]. With `learn_scale` it is where training begins: the scale
    is then a parameter of the model, as its logarithm, trained with the weights or set (`set_scale`).

    Raises UserError for a scale that is not a positive number.
    """

    has_scale: ClassVar[bool] = True

    scale: float
    learn_scale: bool

    def __post_init__(self) -> None:
        self._check(self.scale)

    def _check(self, scale: float) -> None:
        if not 0 < scale < math.inf:
            raise UserError(f"the scale of the {self.family} likelihood must be more than 0, not {scale!r}.")

    def build(self) -> nn.Module | None:
        if not self.learn_scale:
            return None
        return nn.ParameterDict({"log_scale": nn.Parameter(torch.tensor(math.log(self.scale)))})

    def shown(self) -> dict[str, float]:
        return {"scale": float(self.learned["log_scale"].detach().exp())} if self.learn_scale else {}

    def log_scale(self, like: Data) -> Float[Tensor, ""]:
        """ln of the scale, with gradients where a model learns it, on the device and of the type of this tensor."""
        if getattr(self, "learned", None) is None:
            return torch.full((), math.log(self.scale), dtype=like.dtype, device=like.device)
        return self.learned["log_scale"].to(like)

    def set_scale(self, scale: float | Float[Tensor, ""]) -> None:
        """Put the scale of the model that learns it at this one: `best_scale`, for instance.

        Raises UserError where no model does, and for a scale that is not a positive number.
        """
        if getattr(self, "learned", None) is None:
            raise UserError(f"the scale of this {self.family} likelihood is given: set learn_scale to change it.")
        scale = float(torch.as_tensor(scale).detach())
        self._check(scale)
        with torch.no_grad():
            self.learned["log_scale"].fill_(math.log(scale))

    @abstractmethod
    def best_scale(self, outputs: Data, x: Data) -> Float[Tensor, ""]:
        """The scale with the least distortion of these outputs, in closed form; with gradients where they have."""
