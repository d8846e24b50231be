"""The networks and taps ("features") by name: what options and recipes know of them without loading one."""

import re

DEFAULT_FEATURES = "efficientnet-lite0-b10"
"""The tap that `benchmarks/taps.py` chose (benchmarks/results/taps.md)."""
EFFICIENTNET_TAPS = {"b2": 2, "b4": 4, "b7": 7, "b10": 10, "head": 16}
"""The last of the blocks 0..15 that each tap needs; 16 is the head, the input of the classifier."""
INCEPTION = "inception"
NAMES = (*(f"efficientnet-lite0-{tap}" for tap in EFFICIENTNET_TAPS), INCEPTION)


def features_column(name: str) -> str:
    """How metric columns name the features."""
    return re.sub(r"\W", "_", name)
