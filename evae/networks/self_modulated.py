"""Self-modulated convolution (SMC): LiteVAE, Sadat et al., arXiv 2405.14477, section 4.2."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPS = 1e-8


class SelfModulated(nn.Conv2d):
    """A 3x3 convolution in the place of a GroupNorm and one: its weights of each output have the length `gain`, after
    those of each input were multiplied by the input's learned `scales`.

    The bias is added afterwards. Nothing hangs on the data: not on other places, and not on other images.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__(before, after, 3, padding=1)
        self.scales = nn.Parameter(torch.ones(before))
        self.gain = nn.Parameter(torch.ones(()))

    def modulated(self) -> Tensor:
        """The weights (after, before, 3, 3) that convolve."""
        weights = self.weight * self.scales[:, None, None]
        lengths = (weights.square().sum((1, 2, 3), keepdim=True) + EPS).sqrt()
        return self.gain * weights / lengths

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.modulated(), self.bias, padding=self.padding)
