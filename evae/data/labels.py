"""The classes of images, where they are known: for metrics of codes, never for training."""

from dataclasses import dataclass

import numpy as np

UNLABELLED = -1


@dataclass(frozen=True)
class Labels:
    """The class of each image of a split, int64 (n,): a place in `classes`, the names, or `UNLABELLED`.

    `digest` is 16 hex digits of the SHA-256 over the three arrays. It is no part of the images' digest: no training
    depends on labels.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    classes: tuple[str, ...]
    digest: str
