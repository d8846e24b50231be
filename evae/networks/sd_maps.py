"""Encoder and decoder of the Stable Diffusion VAE (Rombach et al., arXiv 2112.10752), from maps to maps of any height
and width.

Modules and parameters have the names and the order that they have in diffusers' AutoencoderKL, below "encoder." and
"decoder.": with GroupNorm, the state of one is that of the other.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from evae.networks.blocks import Doubling, Halving, Middle, ResnetBlock, normalised

BLOCKS = 2
"""Residual blocks of a level of the encoder; the decoder's have one more."""


class Level(nn.Module):
    """Residual blocks, the first of which changes the channels, and what halves or doubles the sides, if anything."""

    def __init__(self, before: int, after: int, blocks: int, kind: str, *, down: bool = False, up: bool = False):
        super().__init__()
        widths = [before, *[after] * blocks]
        self.resnets = nn.ModuleList(ResnetBlock(*both, kind) for both in pairwise(widths))
        self.downsamplers = nn.ModuleList([Halving(after)] if down else [])
        self.upsamplers = nn.ModuleList([Doubling(after)] if up else [])

    def forward(self, x: Tensor) -> Tensor:
        for part in (*self.resnets, *self.downsamplers, *self.upsamplers):
            x = part(x)
        return x


class MapEncoder(nn.Module):
    """From maps (n, inputs, h, w) to (n, outputs, h / 2^k, w / 2^k), for `widths` of k + 1 levels, the finest first.

    `kind` is that of `evae.networks.blocks.normalised`; the attention in the middle is normalised by GroupNorm anyway.
    """

    def __init__(self, inputs: int, outputs: int, widths: Sequence[int], kind: str = "group") -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(inputs, widths[0], 3, padding=1)
        steps = list(pairwise([widths[0], *widths]))
        self.down_blocks = nn.ModuleList(
            Level(*both, BLOCKS, kind, down=level < len(steps)) for level, both in enumerate(steps, 1)
        )
        self.mid_block = Middle(widths[-1], kind)
        self.conv_norm_out, self.conv_out = normalised(kind, widths[-1], outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_in(x)
        for level in self.down_blocks:
            x = level(x)
        return self.conv_out(F.silu(self.conv_norm_out(self.mid_block(x))))


class MapDecoder(nn.Module):
    """From maps (n, inputs, h, w) to (n, outputs, 2^k h, 2^k w), for `widths` of levels, the finest first, of which the
    coarsest k double the sides: by default all but the finest."""

    def __init__(
        self, inputs: int, outputs: int, widths: Sequence[int], kind: str = "group", doublings: int | None = None
    ) -> None:
        super().__init__()
        doublings = len(widths) - 1 if doublings is None else doublings
        coarsest = widths[-1]
        self.conv_in = nn.Conv2d(inputs, coarsest, 3, padding=1)
        self.mid_block = Middle(coarsest, kind)
        steps = list(pairwise([coarsest, *reversed(widths)]))
        self.up_blocks = nn.ModuleList(
            Level(*both, BLOCKS + 1, kind, up=level < doublings) for level, both in enumerate(steps)
        )
        self.conv_norm_out, self.conv_out = normalised(kind, widths[0], outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.mid_block(self.conv_in(x))
        for level in self.up_blocks:
            x = level(x)
        return self.conv_out(F.silu(self.conv_norm_out(x)))
