"""How far reconstructions are from their images for networks that have learned to see (`evae.backbones`).

Only those that a recipe's evaluation names are measured: they cost more than all other metrics together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from evae.backbones.names import DISTANCES, Source, load
from evae.lazy import TYPE_CHECKING, torch
from evae.metrics.base import METRICS, Metric, declare

if TYPE_CHECKING:
    from torch import Tensor

Load = TypeVar("Load", bound=Callable[[], Any])
PIXELS = 1 << 19
"""How many go through a network at once: 128 images of 64 px, 8 of 256 px."""

for _name in DISTANCES:
    declare(_name, of="pairs", direction="min")


def perceptual_distance(name: str) -> Callable[[Load], Load]:
    """A decorator for a function without arguments that loads a distance of this name: a frozen torch module from two
    sets of images (n, c, h, w) in [0, 1] to their distances (n,), 0 for equal ones, whose gradients reach both; its
    `digest` names its weights. It is `--perceptual NAME`, `rec_NAME` among the objectives, and the `distance` of the
    criterion perceptual. A UserError from the function says what it lacks on this machine.
    """

    def register(read: Load) -> Load:
        DISTANCES.add(name, Source(tuple, read), written=read)
        METRICS.add(name, Metric(name, "pairs", "min", name.replace("_", " "), "", None), written=read)
        return read

    return register


def perceptual(name: str, images: Tensor, targets: Tensor) -> Tensor:
    """(n,): the perceptual distance of that name of images (n, c, h, w) in [0, 1] from their targets, in float32."""
    from evae.metrics.features import full_precision

    network, count = load(name, images.device), max(1, PIXELS // images[0, 0].numel())
    with torch.no_grad(), full_precision(images.device):
        parts = zip(images.float().split(count), targets.float().split(count), strict=True)
        return torch.cat([network(*part) for part in parts])
