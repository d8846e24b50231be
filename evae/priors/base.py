"""What every prior family offers: a density on codes, and samples of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from evae.lazy import TYPE_CHECKING, nn, torch
from evae.registry import Registry

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from evae.shapes import Codes


@dataclass(frozen=True, kw_only=True)
class Prior(ABC):
    """A prior family with its hyperparameters.

    With one, the rate is an estimate of the KL divergence from it: ln q(z | x) - ln p(z) at the one code that is
    sampled for an image (Kingma & Welling, arXiv 1312.6114, eq. 6), which is right on average.
    """

    family: ClassVar[str]

    @abstractmethod
    def build(self, latent: int) -> nn.Module:
        """The density on codes (n, latent): a module with the methods of `PriorDensity`. Its parameters, if it has any,
        are trained with the model's."""


class PriorDensity:
    """What `Prior.build` returns offers, beside being a module."""

    def log_density(self, codes: Codes) -> Float[Tensor, " n"]:
        """ln p(z) in nats of each code, gradients reaching the codes and the parameters."""
        raise NotImplementedError

    def sample(self, n: int, generator: torch.Generator) -> Codes:
        """n draws, on the generator's device and with its randomness alone."""
        raise NotImplementedError


prior: Registry[type[Prior]] = Registry("prior")
"""The families by name, and the decorator that adds one."""
