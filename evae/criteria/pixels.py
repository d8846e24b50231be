"""Errors pixel by pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from evae.criteria.base import criterion
from evae.criteria.images import ImageCriterion
from evae.errors import UserError
from evae.lazy import TYPE_CHECKING, torch

if TYPE_CHECKING:
    from jaxtyping import Float

    from evae.shapes import Images, Maps


@criterion
@dataclass(frozen=True, kw_only=True)
class L1(ImageCriterion):
    """Absolute errors."""

    family: ClassVar[str] = "l1"

    def means(self, x: Images, made: Images) -> Float[torch.Tensor, " n"]:
        return (made - x).abs().mean((1, 2, 3))


@criterion
@dataclass(frozen=True, kw_only=True)
class L2(ImageCriterion):
    """Squared errors."""

    family: ClassVar[str] = "l2"

    def means(self, x: Images, made: Images) -> Float[torch.Tensor, " n"]:
        return (made - x).square().mean((1, 2, 3))


@criterion
@dataclass(frozen=True, kw_only=True)
class Charbonnier(ImageCriterion):
    """sqrt(e^2 + eps^2) of each error e: absolute errors that are smooth at 0, where they cost `eps` (Charbonnier et
    al., 1994)."""

    family: ClassVar[str] = "charbonnier"

    eps: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        check_eps(self.family, self.eps)

    def means(self, x: Images, made: Images) -> Float[torch.Tensor, " n"]:
        return charbonnier(made - x, self.eps).mean((1, 2, 3))


def charbonnier(errors: Maps, eps: float) -> Maps:
    """sqrt(e^2 + eps^2)."""
    return (errors.square() + eps**2).sqrt()


def check_eps(family: str, eps: float) -> None:
    """Raise UserError unless it is a number above 0: at 0 an error of 0 would have no gradient."""
    if not 0 < eps < float("inf"):
        raise UserError(f"eps of the criterion {family} must be more than 0, got {eps}")
