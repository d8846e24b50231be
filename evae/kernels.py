"""Smoothing kernels: symmetric densities that a posterior stretches by r and moves by mu.

Every kernel has a standard form (compact ones live on [-1, 1]) and can be rescaled to any variance, so that
kernels can be compared with r meaning the same standard deviation for all of them.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from evae.errors import unknown
from evae.lazy import TYPE_CHECKING, torch

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Standard:
    """Constants of a kernel in its standard form.

    `variance` is the integral of t^2 K, `entropy` minus that of K ln K (nats), `roughness` that of K^2, and
    `support` the half-width of the set where K > 0 (infinite for kernels with tails).
    """

    variance: float
    entropy: float
    roughness: float
    support: float


@dataclass(frozen=True)
class Kernel(ABC):
    """A symmetric density with mean zero: the standard form stretched by `scale`."""

    name: ClassVar[str]
    standard: ClassVar[Standard]

    scale: float = 1.0

    @property
    def variance(self) -> float:
        return self.standard.variance * self.scale**2

    @property
    def entropy(self) -> float:
        """Differential entropy in nats."""
        return self.standard.entropy + math.log(self.scale)

    @property
    def roughness(self) -> float:
        """I(K), the integral of K squared."""
        return self.standard.roughness / self.scale

    @property
    def support(self) -> float:
        """Half-width of the support; infinite for kernels with tails."""
        return self.standard.support * self.scale

    def rescaled(self, variance: float) -> Kernel:
        """The kernel of the same shape that has this variance."""
        return replace(self, scale=self.scale * math.sqrt(variance / self.variance))

    def sample(
        self,
        shape: Sequence[int],
        generator: torch.Generator,
        device: torch.device | str = "cpu",
        dtype: torch.dtype | None = None,
    ) -> Float[Tensor, "..."]:
        """Independent draws, float32 by default. They carry no parameter, so z = mu + r k is differentiable in mu and
        r."""
        options = {"generator": generator, "device": device, "dtype": dtype or torch.float32}
        return self._sample(tuple(shape), options) * self.scale

    def density(self, t: Float[Tensor, "*points"]) -> Float[Tensor, "*points"]:
        """K(t); zero outside the support."""
        u = t / self.scale
        return torch.where(u.abs() <= self.standard.support, self._density(u), 0.0) / self.scale

    def cdf(self, t: Float[Tensor, "*points"]) -> Float[Tensor, "*points"]:
        """Integral of K from minus infinity to t."""
        return self._cdf((t / self.scale).clamp(-self.standard.support, self.standard.support))

    # The standard form: `_density` and `_cdf` are only asked for points inside the support to mean something.

    @abstractmethod
    def _sample(self, shape: tuple[int, ...], options: dict) -> Tensor: ...

    @abstractmethod
    def _density(self, u: Tensor) -> Tensor: ...

    @abstractmethod
    def _cdf(self, u: Tensor) -> Tensor: ...


def _power_mass(power: int) -> float:
    """Integral of (1 - u^2)^power over [-1, 1]: the beta function B(1/2, power + 1)."""
    return math.sqrt(math.pi) * math.gamma(power + 1) / math.gamma(power + 1.5)


def _power_standard(power: int) -> Standard:
    """Constants of the density proportional to (1 - u^2)^power, which is 2 Beta(power + 1, power + 1) - 1."""
    log_beta = 2 * math.lgamma(power + 1) - math.lgamma(2 * power + 2)
    # digamma(2 power + 2) - digamma(power + 1)
    harmonic = sum(1 / i for i in range(power + 1, 2 * power + 2))
    return Standard(
        variance=1 / (2 * power + 3),
        entropy=math.log(2) + log_beta + 2 * power * harmonic,
        roughness=_power_mass(2 * power) / _power_mass(power) ** 2,
        support=1.0,
    )


def _median(values: Tensor) -> Tensor:
    """The median over the first dimension: odd-even transposition sort with whole tensors as its items.

    For seven items or fewer this is several times faster on a CPU than torch.sort along that dimension, and unlike
    torch.median it is deterministic on every device.
    """
    items = list(values)
    for start in range(len(items)):
        for i in range(start % 2, len(items) - 1, 2):
            low, high = items[i], items[i + 1]
            items[i], items[i + 1] = torch.minimum(low, high), torch.maximum(low, high)
    return items[len(items) // 2]


class _Power(Kernel):
    """Densities proportional to (1 - u^2)^power on [-1, 1]."""

    power: ClassVar[int]

    def _sample(self, shape: tuple[int, ...], options: dict) -> Tensor:
        # The median of 2p + 1 uniforms on [0, 1] is Beta(p + 1, p + 1); with p = 1 this is Algorithm 2 of
        # Qin & Huang, arXiv 2405.12783v2.
        return _median(torch.rand((2 * self.power + 1, *shape), **options)) * 2 - 1

    def _density(self, u: Tensor) -> Tensor:
        return (1 - u * u) ** self.power / _power_mass(self.power)

    def _cdf(self, u: Tensor) -> Tensor:
        p = self.power
        terms = (math.comb(p, j) * (-1) ** j / (2 * j + 1) * u ** (2 * j + 1) for j in range(p + 1))
        return 0.5 + sum(terms) / _power_mass(p)


class Uniform(_Power):
    """1/2 on [-1, 1]."""

    name = "uniform"
    power = 0
    standard = _power_standard(0)


class Epanechnikov(_Power):
    """3/4 (1 - u^2) on [-1, 1]: the least I(K) of all kernels of its variance (Qin & Huang, lemma 3.2)."""

    name = "epanechnikov"
    power = 1
    standard = _power_standard(1)


class Biweight(_Power):
    """15/16 (1 - u^2)^2 on [-1, 1]."""

    name = "biweight"
    power = 2
    standard = _power_standard(2)


class Triweight(_Power):
    """35/32 (1 - u^2)^3 on [-1, 1]."""

    name = "triweight"
    power = 3
    standard = _power_standard(3)


class Triangular(Kernel):
    """1 - |u| on [-1, 1]."""

    name = "triangular"
    standard = Standard(variance=1 / 6, entropy=0.5, roughness=2 / 3, support=1.0)

    def _sample(self, shape: tuple[int, ...], options: dict) -> Tensor:
        return torch.rand(shape, **options) - torch.rand(shape, **options)

    def _density(self, u: Tensor) -> Tensor:
        return 1 - u.abs()

    def _cdf(self, u: Tensor) -> Tensor:
        return 0.5 + u - 0.5 * u * u.abs()


class Cosine(Kernel):
    """pi/4 cos(pi u / 2) on [-1, 1]."""

    name = "cosine"
    standard = Standard(
        variance=1 - 8 / math.pi**2, entropy=1 + math.log(2 / math.pi), roughness=math.pi**2 / 16, support=1.0
    )

    def _sample(self, shape: tuple[int, ...], options: dict) -> Tensor:
        return torch.asin(torch.rand(shape, **options) * 2 - 1) * (2 / math.pi)  # the inverse CDF

    def _density(self, u: Tensor) -> Tensor:
        return math.pi / 4 * torch.cos(math.pi / 2 * u)

    def _cdf(self, u: Tensor) -> Tensor:
        return 0.5 + 0.5 * torch.sin(math.pi / 2 * u)


class Gaussian(Kernel):
    """The standard normal density."""

    name = "gaussian"
    standard = Standard(
        variance=1.0,
        entropy=0.5 * math.log(2 * math.pi * math.e),
        roughness=1 / (2 * math.sqrt(math.pi)),
        support=math.inf,
    )

    def _sample(self, shape: tuple[int, ...], options: dict) -> Tensor:
        return torch.randn(shape, **options)

    def _density(self, u: Tensor) -> Tensor:
        return torch.exp(-0.5 * u * u) / math.sqrt(2 * math.pi)

    def _cdf(self, u: Tensor) -> Tensor:
        return torch.special.ndtr(u)


class Logistic(Kernel):
    """1 / (e^u + 2 + e^-u)."""

    name = "logistic"
    standard = Standard(variance=math.pi**2 / 3, entropy=2.0, roughness=1 / 6, support=math.inf)

    def _sample(self, shape: tuple[int, ...], options: dict) -> Tensor:
        # The inverse CDF; torch.rand can return exactly 0, whose logit is infinite.
        return torch.logit(torch.rand(shape, **options), eps=torch.finfo(options["dtype"]).eps / 2)

    def _density(self, u: Tensor) -> Tensor:
        return torch.sigmoid(u) * torch.sigmoid(-u)

    def _cdf(self, u: Tensor) -> Tensor:
        return torch.sigmoid(u)


class Laplace(Kernel):
    """e^-|u| / 2."""

    name = "laplace"
    standard = Standard(variance=2.0, entropy=1 + math.log(2), roughness=0.25, support=math.inf)

    def _sample(self, shape: tuple[int, ...], options: dict) -> Tensor:
        # The difference of two unit exponentials, each -ln of a uniform on (0, 1].
        uniforms = 1 - torch.rand((2, *shape), **options)
        return uniforms[0].log() - uniforms[1].log()

    def _density(self, u: Tensor) -> Tensor:
        return 0.5 * torch.exp(-u.abs())

    def _cdf(self, u: Tensor) -> Tensor:
        return 0.5 - 0.5 * torch.sign(u) * torch.expm1(-u.abs())


KERNELS: dict[str, Kernel] = {
    kernel.name: kernel()
    for kernel in (
        Epanechnikov, Gaussian, Uniform, Triangular, Biweight, Triweight, Cosine, Logistic, Laplace,
    )
}  # fmt: skip


def get_kernel(name: str) -> Kernel:
    """The kernel of that name in its standard form. Raises `UserError` naming the nearest known one."""
    if name not in KERNELS:
        raise unknown("kernel", name, KERNELS)
    return KERNELS[name]
