"""Outputs kept one by one, for intervals of a latent."""

import torch
from torch import Tensor, nn

SPREAD = 0.5
"""Of the first outputs, which are random."""


class TableDecoder(nn.Module):
    """`values` (count, *shape): what codes decode to whose first latent is in the interval of that number, of `count`
    intervals with equal probability under N(0, 1)."""

    def __init__(self, count: int, shape: tuple[int, ...]):
        super().__init__()
        self.values = nn.Parameter(SPREAD * torch.randn(count, *shape))

    def forward(self, codes: Tensor) -> Tensor:
        return self.values[self._intervals(codes)]

    def regress(self, codes: Tensor, wanted: Tensor, weight: Tensor) -> None:
        """Put each row at the mean of what its codes (n, latent) should decode to, (n, *shape), counted by their weight
        (n,). Rows without a code take the value of the nearest row with one."""
        interval = self._intervals(codes)
        count = torch.zeros(len(self.values), dtype=torch.float64, device=codes.device)
        count.index_add_(0, interval, weight.double().clamp(min=1e-300))
        sums = torch.zeros(self.values.shape, dtype=torch.float64, device=codes.device)
        sums.index_add_(0, interval, weight.double().clamp(min=1e-300).view(-1, *[1] * (wanted.ndim - 1)) * wanted)
        known = torch.nonzero(count)[:, 0]
        nearest = known[(torch.arange(len(count), device=codes.device)[:, None] - known).abs().argmin(1)]
        with torch.no_grad():
            self.values.copy_((sums / count.clamp(min=1e-300).view(-1, *[1] * (wanted.ndim - 1)))[nearest])

    def _intervals(self, codes: Tensor) -> Tensor:
        share = torch.special.ndtr(codes[:, 0].double())
        return (share * len(self.values)).long().clamp(max=len(self.values) - 1)
