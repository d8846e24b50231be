"""The processes ("ranks") that train one model together: who has which images, and sums over all of them.

A recipe does not know how many there are. Batches are global: every rank draws the same permutation and the same
noise, and takes its share of both, so that any number of ranks trains on the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
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

    def part(self, mean: Tensor) -> Tensor:
        """What a mean over these rows counts for in the mean over the whole batch: that itself where they are all."""
        return mean if self.weight == 1 else mean * self.weight

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
    """This process among `size` of them; alone by default. More than one need an initialised process group, and all
    call the same methods in the same order, but for `share`."""

    rank: int = 0
    size: int = 1

    @property
    def alone(self) -> bool:
        return self.size == 1

    def share(self, count: int) -> Share:
        """This rank's part of `count` rows, as even as can be; all of them where there are fewer than ranks."""
        if count < self.size:
            return Share(self, 0, count, count, 1 / self.size)
        start, stop = (count * rank // self.size for rank in (self.rank, self.rank + 1))
        return Share(self, start, stop, count, (stop - start) / count)

    def sum(self, values: Tensor) -> Tensor:
        """The sum of the tensor over all ranks, on each of them. It has the gradients of all ranks' sums."""
        return values if self.alone else _Sum.apply(values)

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Give every rank the sum of the ranks' gradients, in one go. A parameter has one on all ranks or on none.

        It is what DistributedDataParallel does, whose hooks by PyTorch's notes on CUDA graphs want eleven steps before
        each recording."""
        if self.alone:
            return
        given = [parameter for parameter in parameters if parameter.grad is not None]
        # As they lie in memory, which is how their parameters do: without gaps, and the same on all ranks.
        flat = torch.cat([each.grad.as_strided((each.numel(),), (1,)) for each in given])
        torch.distributed.all_reduce(flat)
        for each, part in zip(given, flat.split([each.numel() for each in given]), strict=True):
            each.grad = part.as_strided(each.shape, each.stride())

    def synchronise(self, model: nn.Module) -> None:
        """Let BatchNorm see the whole batch in training, where torch can do that: on CUDA."""
        if not self.alone and next(model.parameters()).is_cuda:
            nn.SyncBatchNorm.convert_sync_batchnorm(model)

    def first(self, found: str | None) -> str | None:
        """What the first rank found that has found something: the same on all of them."""
        if self.alone:
            return found
        every: list[str | None] = [None] * self.size
        torch.distributed.all_gather_object(every, found)
        return next((each for each in every if each is not None), None)

    def meet(self, device: torch.device) -> None:
        """Wait on the host until all ranks have come here, and their devices too. Raises an error, or ends the process,
        where one does not come within the process group's timeout."""
        if not self.alone:
            float(self.sum(torch.zeros((), device=device)))

    def unify(self, model: nn.Module) -> None:
        """Give every rank the mean of the ranks' buffers: BatchNorm's running statistics of all shares."""
        if self.alone:
            return
        for buffer in model.buffers():
            if buffer.is_floating_point():
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
