"""The processes ("ranks") that train one model together: who has which images, and results over all of them.

A recipe does not know how many there are. Batches are global: every rank draws the same permutation and the same
noise, and takes its share of both, so that any number of ranks trains on the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.distributed
from torch import Tensor, nn

Draw = Callable[[Tensor, torch.Generator], Tensor]
"""A draw for every row: `sample` of a posterior."""


@dataclass(frozen=True)
class Share:
    """Rows `start` to `stop` of `whole`: one rank's part of a batch.

    `weight` is what its means count for in a mean over the `ranks`.
    """

    ranks: Ranks
    start: int
    stop: int
    whole: int
    weight: float

    @property
    def rows(self) -> slice:
        return slice(self.start, self.stop)

    def sample(self, draw: Draw, heads: Tensor, generator: torch.Generator) -> Tensor:
        """What `draw` gives these rows (of heads): what they have where one process draws for the whole."""
        if len(heads) == self.whole:
            return draw(heads, generator)
        return draw(self._spread(heads), generator)[self.rows]

    def gather(self, rows: Tensor) -> Tensor:
        """The rows (n, ...) of all ranks' shares, in order, on each of them, with gradients."""
        return rows if len(rows) == self.whole else self.ranks.sum(self._spread(rows))

    def _spread(self, rows: Tensor) -> Tensor:
        """These rows in their places of the whole, with zeros for the others."""
        spread = rows.new_zeros(self.whole, *rows.shape[1:])
        spread[self.rows] = rows
        return spread


@dataclass(frozen=True)
class Ranks:
    """This process among `size` of them; alone by default. More than one need an initialised process group.

    `wrap` makes of a model one whose gradients are means over the ranks (DistributedDataParallel).
    """

    rank: int = 0
    size: int = 1
    wrap: Callable[[nn.Module], nn.Module] = lambda model: model

    def share(self, count: int) -> Share:
        """This rank's part of `count` rows, as even as can be; all of them where there are fewer than ranks."""
        if count < self.size:
            return Share(self, 0, count, count, 1 / self.size)
        start, stop = (count * rank // self.size for rank in (self.rank, self.rank + 1))
        return Share(self, start, stop, count, (stop - start) / count)

    def sum(self, values: Tensor) -> Tensor:
        """The sum of the tensor over all ranks, on each of them. It has the gradients of all ranks' sums."""
        return _Sum.apply(values) if self.size > 1 else values

    def unify(self, model: nn.Module) -> None:
        """Give every rank the mean of the ranks' buffers: BatchNorm's running statistics of all shares."""
        for buffer in model.buffers():
            if self.size > 1 and buffer.is_floating_point():
                buffer.copy_(self.sum(buffer) / self.size)


class _Sum(torch.autograd.Function):
    """A sum over ranks: the gradient of what all of them make of it is again a sum over ranks."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, values: Tensor) -> Tensor:
        values = values.clone(memory_format=torch.contiguous_format)
        torch.distributed.all_reduce(values)
        return values

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> Tensor:
        return _Sum.apply(gradient)
