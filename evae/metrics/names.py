"""The networks and taps ("features") by name: what options and recipes know of them without loading one."""

from __future__ import annotations

import re
from collections.abc import Callable
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


def density_side(family: str) -> str:
    """How the metric columns of samples from an ex-post density begin: `xpd_mixture`. The metric is what follows the
    next underscore, so that the family's own are left out."""
    return "xpd_" + re.sub(r"[\W_]", "", family)
