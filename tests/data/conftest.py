from collections.abc import Iterator
from pathlib import Path

import pytest
from small_sets import (
    write_arrays,
    write_celeba,
    write_cifar,
    write_hugging_face,
    write_mnist,
    write_pictures,
    write_shards,
)


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data root with every source that is not in a package."""
    root = tmp_path_factory.mktemp("data")
    write_mnist(root / "mnist", compressed=True, seed=1)
    write_mnist(root / "FashionMNIST" / "raw", compressed=False, seed=2)
    write_celeba(root / "celeba")
    write_pictures(root / "pictures", 60)
    write_shards(root / "shards", 60)
    write_hugging_face(root / "hugging-face", root / "pictures")
    write_arrays(root)
    with pytest.MonkeyPatch.context() as patch:
        write_cifar(root, patch)
        yield root
