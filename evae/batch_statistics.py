"""BatchNorm's statistics for measuring: of the weights as they are, and not of the steps that led to them.

Running averages follow the last ten or twenty steps. In a short training the weights move so fast meanwhile that what
they normalise with is noise: it moved reconstruction distances by -6 to +19 % (benchmarks/results/batch_statistics.md).
"""

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from evae.models import VAE


def normalising(model: nn.Module) -> list[_BatchNorm]:
    """The layers that normalise by their batch in training, and by kept statistics otherwise."""
    model.train()
    # A network may keep a layer as it is, in evaluation mode, also while it is trained.
    return [m for m in model.modules() if isinstance(m, _BatchNorm) and m.training and m.track_running_stats]


def _up_to_the_last(network: nn.Module, layers: list[_BatchNorm]) -> nn.Module:
    """A sequence without what comes after the last of the layers: a decoder's last convolution takes half its time."""
    if type(network) is not nn.Sequential:
        return network
    parts = list(network)
    while parts and not set(parts[-1].modules()) & set(layers):
        parts.pop()
    return nn.Sequential(*parts)


@torch.no_grad()
def estimate(model: VAE, images: Tensor, generator: torch.Generator) -> None:
    """Replace the running averages of BatchNorm by the statistics of these images (n, c, h, w) in [0, 1], encoded,
    sampled with the `generator` and decoded.

    Nothing else of the model changes, and no layer but these behaves as in training. The model is in evaluation mode
    afterwards. Without BatchNorm nothing is computed.
    """
    layers = normalising(model)
    model.eval()
    if not layers:
        return
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.train()
        layer.reset_running_stats()
        layer.momentum = None  # all that it has seen since, and no average with what was before
    try:
        _up_to_the_last(model.decoder, layers)(model.posterior.sample(model.encode(images), generator))
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.eval()
            layer.momentum = momentum
