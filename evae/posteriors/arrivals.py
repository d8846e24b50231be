"""Poisson counts as arrivals within one unit of time, and differentiable stand-ins for them (Vafaii et al., "Poisson
variational autoencoder", NeurIPS 2024, algorithm 1).

The time between two arrivals at a rate r is an exponential variable over r; the count is that of the arrivals before
time 1. A stand-in counts an arrival at time t for g((1 - t) / T) instead, where the indicator g rises from 0 to 1, the
more steeply the smaller the temperature T. By Campbell's theorem its mean is r times the integral of g((1 - t) / T)
over t > 0, and its variance r times that of the square: the mean of all but the sigmoid is r for every T up to 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from evae.lazy import TYPE_CHECKING, torch

if TYPE_CHECKING:
    from torch import Tensor

    from evae.shapes import Codes, Dial

BLOCK = 8
"""So many arrivals of each train are drawn at once."""


@dataclass(frozen=True)
class Indicator:
    """g(x) and its derivative. Below x = -`reach` it is 0, or close enough."""

    value: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor], Tensor]
    reach: float = 1.0

    @classmethod
    def on_unit(cls, value: Callable[[Tensor], Tensor], slope: Callable[[Tensor], Tensor]) -> Indicator:
        """From a function on [0, 1] and its derivative: g is that of (x + 1) / 2, 0 below -1 and 1 above 1."""

        def unit(x: Tensor) -> Tensor:
            return ((x + 1) / 2).clamp(0, 1)

        return cls(lambda x: value(unit(x)), lambda x: torch.where(x.abs() < 1, slope(unit(x)) / 2, 0.0))


def _sigmoid_slope(x: Tensor) -> Tensor:
    return torch.sigmoid(x) * torch.sigmoid(-x)


INDICATORS = {
    "cubic": Indicator.on_unit(lambda u: u * u * (3 - 2 * u), lambda u: 6 * u * (1 - u)),
    "linear": Indicator.on_unit(lambda u: u, lambda u: torch.ones_like(u)),
    "quintic": Indicator.on_unit(lambda u: u**3 * (10 + u * (6 * u - 15)), lambda u: 30 * (u * (1 - u)) ** 2),
    "cosine": Indicator.on_unit(
        lambda u: (1 - torch.cos(math.pi * u)) / 2, lambda u: math.pi / 2 * torch.sin(math.pi * u)
    ),
    # Beyond 8, arrivals count for 3e-4 of the sigmoid's own excess.
    "sigmoid": Indicator(lambda x: torch.sigmoid(x), _sigmoid_slope, reach=8.0),
}
"""By name: the paper's sigmoid, and those of compact support."""


def counts(rates: Codes, generator: torch.Generator) -> Codes:
    """Poisson draws of these rates, without gradients."""
    rates, drawn = rates.detach(), torch.zeros_like(rates)
    for times in _arrivals(rates, 1.0, generator):
        drawn += (times < 1).sum(0)
    return drawn


def relaxed_counts(rates: Codes, indicator: str, temperature: Dial, generator: torch.Generator) -> Codes:
    """The stand-ins for Poisson draws of these rates, above 0, at a temperature above 0; gradients reach the rates."""
    shape, fixed = INDICATORS[indicator], rates.detach()
    value, slope = torch.zeros_like(fixed), torch.zeros_like(fixed)
    with torch.no_grad():
        for times in _arrivals(fixed, 1 + shape.reach * temperature, generator):
            x = (1 - times) / temperature
            value += shape.value(x).sum(0)
            # A time is inversely proportional to the rate.
            slope += (shape.slope(x) * times).sum(0) / (temperature * fixed)
    # What autograd would keep for each arrival, kept for each train: the value and its derivative.
    return value + slope * (rates - fixed)


def gumbel_counts(rates: Codes, temperature: Dial, generator: torch.Generator) -> Codes:
    """The mean count of a Gumbel-softmax (Jang et al., arXiv 1611.01144) over 0, 1, 2, ... with Poisson probabilities
    of these rates; gradients reach the rates. Its mean is not the rate, whatever the temperature."""
    # Where a rate is not a number, the model that yields it has diverged, which its loss will say.
    count = most_counts(float(rates.detach().nan_to_num().max()))
    drawn = _exponentials(rates, generator)
    noise = torch.cat([next(drawn) for _ in range(count // BLOCK)])
    k = torch.arange(count, dtype=rates.dtype, device=rates.device).view(-1, *[1] * rates.ndim)
    # Minus the logarithm of an exponential variable is a Gumbel variable.
    logits = k * torch.log(rates) - torch.lgamma(k + 1) - torch.log(noise)
    return (k * torch.softmax(logits / temperature, 0)).sum(0)


def most_counts(rate: float, tail: float = 1e-7) -> int:
    """So many of the counts 0, 1, ..., a multiple of `BLOCK`, that the others' probability is below `tail` (Bernstein's
    inequality)."""
    nats = -math.log(tail)
    most = rate + nats / 3 + math.sqrt(nats * nats / 9 + 2 * nats * rate)
    return math.ceil((most + 1) / BLOCK) * BLOCK


def _arrivals(rates: Codes, until: Dial, generator: torch.Generator) -> Iterator[Tensor]:
    """The times of arrivals at these rates, (BLOCK, n, latent) after (BLOCK, n, latent), till all are later than
    `until`."""
    passed = torch.zeros_like(rates)
    for gaps in _exponentials(rates, generator):
        elapsed = passed + gaps.cumsum(0)
        yield elapsed / rates
        passed = elapsed[-1]
        # Of a rate that is not a number, none is too early.
        if not (passed <= until * rates).any():
            return


def _exponentials(like: Codes, generator: torch.Generator) -> Iterator[Tensor]:
    """Exponential variables (BLOCK, n, latent), again and again, of which the generator gives the seed only.

    How many are taken differs between the processes that share a batch, since each knows the rates of its images; what
    is drawn after them does not.
    """
    seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    own = torch.Generator(like.device).manual_seed(seed)
    while True:
        yield torch.empty(BLOCK, *like.shape, dtype=like.dtype, device=like.device).exponential_(generator=own)
