"""Less memory for more time: what blocks of a network compute is not kept for gradients, but computed again for them.

Chen et al., "Training Deep Nets with Sublinear Memory Cost" (arXiv 1604.06174).
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint


def recompute(*networks: nn.Module) -> None:
    """Let each of the networks' blocks keep its inputs alone while it is trained; the numbers are the same.

    Names of parameters stay as they are. BatchNorm takes note of a batch twice: its running statistics are not those of
    a training without, and are to be estimated anew, as `evae.training` does.
    """
    for network in networks:
        for block in blocks(network):
            block.forward = partial(_again, block, block.forward)


def blocks(network: nn.Module) -> Iterator[nn.Module]:
    """The innermost modules that are made of others, such as a residual block; of a sequence of layers, the whole."""
    compound = [child for child in network.children() if any(child.children())]
    if not compound:
        yield network
    for child in compound:
        yield from blocks(child)


def _again(block: nn.Module, forward: Any, *inputs: Any) -> Any:
    if not (block.training and torch.is_grad_enabled()):
        return forward(*inputs)
    return checkpoint(forward, *inputs, use_reentrant=False)
