"""What is measured on a split: rows for its images, a chunk at a time on all ranks, and on which draws."""

from collections import defaultdict
from collections.abc import Callable

import torch
from torch import Tensor

from evae.ranks import Share
from evae.training import Training, generator

PREFIXES = {"test": "", "validation": "val_"}
PRIOR, CODES, SUBSETS, LABELLED, WEIGHTS, WHOLE = 100, 200, 300, 500, 800, 900
"""The independent random streams of an evaluation: these and the split's place in `PREFIXES`. Test values are taken
on draws of their own, so that they owe nothing to those which a search has chosen by."""
CHUNK = 250


def noise_of(training: Training, stream: int, split: str, device: torch.device | str) -> torch.Generator:
    """The same for every trial of a study, whatever its seed."""
    return generator(device, training.recipe.evaluation.seed, 0, stream + list(PREFIXES).index(split))


def rows_of(training: Training, count: int, measure: Callable[[Share, slice], dict[str, Tensor]]) -> dict[str, Tensor]:
    """Rows for `count` images, on the CPU (not every device has float64): `measure` gives those of this rank's share of
    a chunk, all ranks' are put together."""
    found = defaultdict(list)
    for first in range(0, count, CHUNK):
        share = training.ranks.share(min(CHUNK, count - first))
        for name, rows in measure(share, slice(first + share.start, first + share.stop)).items():
            found[name].append(share.gather(rows))
    return {name: torch.cat(rows).cpu() for name, rows in found.items()}
