"""The processes ("ranks") that train one model together: who has which images, and results over all of them.

A recipe does not know how many there are. Batches are global: every rank draws the same permutation and the same
noise, and takes its share of both, so that any number of ranks trains on the same numbers.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.distributed
from torch import Tensor, nn

from evae.posteriors.base import Posterior


@dataclass(frozen=True)
class Share:
    """Rows `start` to `stop` of `whole`: one rank's part of a batch.

    `weight` is what its means count for in a mean over the ranks.
    """

    start: int
    stop: int
    whole: int
    weight: float

    @property
    def rows(self) -> slice:
        return slice(self.start, self.stop)

    def sample(self, posterior: Posterior, heads: Tensor, generator: torch.Generator) -> Tensor:
        """A draw of the posterior for these rows: the one they have where one process draws for the whole."""
        if len(heads) == self.whole:
            return posterior.sample(heads, generator)
        spread = heads.new_zeros(self.whole, heads.shape[1])
        spread[self.rows] = heads
        return posterior.sample(spread, generator)[self.rows]


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
            return Share(0, count, count, 1 / self.size)
        start, stop = (count * rank // self.size for rank in (self.rank, self.rank + 1))
        return Share(start, stop, count, (stop - start) / count)

    def sum(self, values: Tensor) -> Tensor:
        """The sum of the tensor over all ranks, on each of them."""
        if self.size > 1:
            values = values.clone()
            torch.distributed.all_reduce(values)
        return values

    def gather(self, rows: Tensor, share: Share) -> Tensor:
        """The rows (n, ...) of all ranks' shares, in order, on each of them."""
        if len(rows) == share.whole:
            return rows
        # Shares differ by a row at most, and a collective wants equal shapes.
        most = -(-share.whole // self.size)
        padded = rows.new_zeros(most, *rows.shape[1:])
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in range(self.size)]
        torch.distributed.all_gather(parts, padded)
        shares = (Ranks(rank, self.size).share(share.whole) for rank in range(self.size))
        return torch.cat([part[: each.stop - each.start] for part, each in zip(parts, shares, strict=True)])

    def unify(self, model: nn.Module) -> None:
        """Give every rank the mean of the ranks' buffers: BatchNorm's running statistics of all shares."""
        for buffer in model.buffers():
            if self.size > 1 and buffer.is_floating_point():
                buffer.copy_(self.sum(buffer) / self.size)
