"""The Gaussian likelihood of one standard deviation."""

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

    from evae.shapes import Data


@likelihood
@dataclass(frozen=True, kw_only=True)
class Gaussian(Scaled):
    """Every number a Gaussian variable about the output with the standard deviation `scale`: an exact log density in
    nats, constant included. Data may be unbounded, and of any shape (n, ...): points as well as images.

    A scale that is learned is the scalar decoder variance of the sigma-VAE (Rybkin et al., arXiv 2006.13202), whose
    optimum for a batch is `best_scale`. Nothing keeps it from shrinking with the errors: where a decoder can copy its
    data, the density has no bound.
    """

    family: ClassVar[str] = "gaussian"
    has_elbo: ClassVar[bool] = True
    takes_points: ClassVar[bool] = True

    scale: float = 0.1
    learn_scale: bool = False

    @classmethod
    def for_points(cls) -> Gaussian:
        return cls(scale=0.3, learn_scale=True)

    def distortion(self, outputs: Data, x: Data) -> Float[Tensor, ""]:
        numbers = x.numel() // len(x)
        squares = (outputs - x).square().sum() / len(x)
        log_scale = self.log_scale(x)
        return 0.5 * squares * torch.exp(-2 * log_scale) + numbers * (log_scale + 0.5 * math.log(2 * math.pi))

    def error_scale(self, like: Data) -> Float[Tensor, ""]:
        return 8 * torch.exp(2 * self.log_scale(like))

    def of_pairs(self, outputs: Tensor, x: Tensor) -> Float[Tensor, "n k"]:
        a, b = (rows.double().flatten(1) for rows in (x, outputs))
        squares = (a.square().sum(1)[:, None] - 2 * a @ b.T + b.square().sum(1)).clamp(min=0)
        log_scale = self.log_scale(a)
        return 0.5 * squares * torch.exp(-2 * log_scale) + a.shape[1] * (log_scale + 0.5 * math.log(2 * math.pi))

    def draw(self, outputs: Data, generator: torch.Generator) -> Data:
        noise = torch.randn(outputs.shape, generator=generator, device=outputs.device, dtype=outputs.dtype)
        return outputs + torch.exp(self.log_scale(outputs)) * noise

    def images(self, outputs: Data) -> Data:
        return outputs

    def best_scale(self, outputs: Data, x: Data) -> Float[Tensor, ""]:
        return (outputs - x).square().mean().sqrt()

    def expected_distortions(self, outputs: Data, mean: Data, variance: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        squares, numbers = (outputs - mean).flatten(1).square().sum(1) + variance, mean.numel() // len(mean)
        log_scale = self.log_scale(mean)
        return 0.5 * squares * torch.exp(-2 * log_scale) + numbers * (log_scale + 0.5 * math.log(2 * math.pi))

    def fit_expected(
        self, outputs: Data, mean: Data, variance: Float[Tensor, " n"], weight: Float[Tensor, " n"], least: float
    ) -> None:
        if getattr(self, "learned", None) is not None:
            squares = (outputs - mean).flatten(1).square().sum(1) + variance
            numbers = mean.numel() // len(mean)
            self.set_scale(((weight * squares).sum() / (numbers * weight.sum())).sqrt().clamp(min=least))
