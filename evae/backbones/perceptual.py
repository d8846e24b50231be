"""How far two images are apart for a network that has learned to see."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from evae.backbones.efficientnet import load_efficientnet, prepare
from evae.backbones.files import sha256
from evae.shapes import Images
from evae.signals import in_colours

TINY = 1e-10
"""Beside a length, so that activations that are all 0 can be divided by theirs."""
TAPS = (2, 4, 7)
"""The blocks of EfficientNet-Lite0 after which its activations are compared."""


class PerceptualDistance(nn.Module):
    """A frozen network, and a distance on its activations: after each of its `stages` these are divided by their
    length at every place (over channels); the squared differences are weighted and summed over channels by a head, and
    averaged over places; the distance is the sum over stages (Zhang et al., LPIPS, arXiv 1801.03924, eq. 1).

    `heads` are the weights (channels,) of each stage; None weighs all alike. `prepare` makes of images (n, 3, h, w) in
    [0, 1] what the network takes. `digest` is the SHA-256 of its weights. Nothing in it is trained.
    """

    def __init__(
        self,
        stages: Sequence[nn.Module],
        heads: Sequence[Tensor] | None,
        prepare: Callable[[Tensor], Tensor],
        paths: Sequence[Path],
    ) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.heads = None if heads is None else nn.ParameterList([nn.Parameter(head) for head in heads])
        self._prepare = prepare
        digests = [sha256(path) for path in paths]
        joined = hashlib.sha256("".join(digests).encode()).hexdigest()
        self.digest = digests[0] if len(digests) == 1 else joined
        self.requires_grad_(False).eval().to(memory_format=torch.channels_last)

    def forward(self, x: Images, made: Images) -> Float[Tensor, " n"]:
        """(n,): distances of images (n, c, h, w) in [0, 1], on the device of this module, which are enlarged where
        their shorter side is below 32 px, and of other than 1 or 3 channels are false colours
        (`evae.signals.in_colours`); 0 for equal images. Gradients reach both."""
        total = x.new_zeros(len(x))
        mine, theirs = self._seen(x), self._seen(made)
        for index, stage in enumerate(self.stages):
            mine, theirs = stage(mine), stage(theirs)
            apart = (_unit(mine) - _unit(theirs)).square()
            if self.heads is not None:
                apart = apart * self.heads[index].view(1, -1, 1, 1)
            total = total + apart.sum(1).mean((1, 2))
        return total

    def _seen(self, images: Images) -> Tensor:
        prepared = self._prepare(in_colours(images).expand(-1, 3, -1, -1))
        return prepared.contiguous(memory_format=torch.channels_last)


def _unit(maps: Tensor) -> Tensor:
    # The square root of 0 has no gradient.
    return maps / (maps.square().sum(1, keepdim=True) + TINY**2).sqrt()


def load_efficientnet_features(path: Path) -> PerceptualDistance:
    """The distance on the activations of EfficientNet-Lite0 after blocks 2, 4 and 7, all channels alike: without heads
    that were fitted to people's judgements."""
    layers = list(load_efficientnet(path, TAPS[-1])[0])
    # Before the blocks come the stem and its activation.
    ends = [0, *(tap + 3 for tap in TAPS)]
    stages = [nn.Sequential(*layers[start:end]) for start, end in pairwise(ends)]
    return PerceptualDistance(stages, None, prepare, [path])
