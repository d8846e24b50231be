"""The encoder of LiteVAE (Sadat et al., arXiv 2405.14477, section 4.1 and appendix G), from maps to maps of any height
and width."""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evae.networks.blocks import ResnetBlock
from evae.wavelets import pyramid

BLOCKS = 2
"""Residual blocks of a width, on the way in and on the way out."""


class FlatUNet(nn.Module):
    """A U-Net that keeps height and width: blocks of more and more channels, two in the middle, and blocks of fewer and
    fewer, each of which also sees what its mirror image has yielded. From `inputs` to `outputs` channels."""

    def __init__(self, inputs: int, outputs: int, widths: Sequence[int], kind: str) -> None:
        super().__init__()
        inward = [widths[0], *(width for width in widths for _ in range(BLOCKS))]
        outward = [widths[-1], *reversed(inward[1:])]
        self.conv_in = nn.Conv2d(inputs, widths[0], 3, padding=1)
        self.inward = nn.ModuleList(ResnetBlock(*both, kind) for both in pairwise(inward))
        self.middle = nn.Sequential(*(ResnetBlock(widths[-1], widths[-1], kind) for _ in range(2)))
        # What each takes from the way in has as many channels as it yields.
        self.outward = nn.ModuleList(ResnetBlock(before + after, after, kind) for before, after in pairwise(outward))
        self.conv_out = nn.Conv2d(widths[0], outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x, seen = self.conv_in(x), []
        for block in self.inward:
            seen.append(x := block(x))
        x = self.middle(x)
        for block in self.outward:
            x = block(torch.cat([x, seen.pop()], 1))
        return self.conv_out(x)


class Pooled(nn.Module):
    """The mean of squares of `side` places, and a 3x3 convolution.

    The paper does not show how features are downsampled; a 3x3 convolution is what makes its numbers of parameters come
    out.
    """

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        self.side = side
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.avg_pool2d(x, self.side))


class LiteEncoder(nn.Module):
    """Features of the Haar transform's bands at each of `levels`, brought to the coarsest grid and put together.

    From images (n, channels, h, w) to (n, outputs, h / 2^levels, w / 2^levels). `extractor` and `aggregator` are the
    channels of the U-Nets. `shared`: one extractor for all levels. Without the `finest` level, the coarser ones are all
    that there is.
    """

    def __init__(
        self,
        channels: int,
        outputs: int,
        levels: int,
        extractor: Sequence[int],
        aggregator: Sequence[int],
        kind: str = "group",
        *,
        shared: bool = False,
        finest: bool = True,
    ) -> None:
        super().__init__()
        bands, self.levels, used = 4 * channels, levels, levels if finest else levels - 1
        self.extractors = nn.ModuleList(FlatUNet(bands, bands, extractor, kind) for _ in range(1 if shared else used))
        self.downsamplers = nn.ModuleList(Pooled(bands, 2**steps) for steps in range(used - 1, 0, -1))
        self.aggregator = FlatUNet(used * bands, outputs, aggregator, kind)

    def forward(self, x: Tensor) -> Tensor:
        used = len(self.downsamplers) + 1
        seen = list(pyramid(x.float(), self.levels))[-used:]
        extractors = [*self.extractors] * (used // len(self.extractors))
        found = [extractor(bands) for extractor, bands in zip(extractors, seen, strict=True)]
        pooled = [pool(features) for pool, features in zip(self.downsamplers, found[:-1], strict=True)]
        return self.aggregator(torch.cat([*pooled, found[-1]], 1))
