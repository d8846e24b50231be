"""`cifar10`: 50,000 training and 10,000 test images of 32 x 32 px, RGB, through torchvision."""

from pathlib import Path

import numpy as np

from evae.data.base import DataRecipe, Raw, data_source, shuffled
from evae.data.download import fetch
from evae.data.names import shown


@data_source("cifar10")
def read(recipe: DataRecipe, root: Path) -> Raw:
    """CIFAR-10 from ROOT/cifar-10-batches-py or ROOT/cifar10/cifar-10-batches-py, or by download into ROOT.

    torchvision checks the files' sums before it reads them. Raises UserError where they are neither there nor
    to be had.
    """
    from torchvision.datasets import CIFAR10

    home = next((folder for folder in (root, root / "cifar10") if _complete(folder)), None)
    if home is None:
        home = root
        wanted = f"Put {CIFAR10.filename} into {shown(root)} and unpack it there (tar xf)."
        fetch([CIFAR10.url], root, lambda folder: CIFAR10(folder, download=True), wanted)
    read = {name: CIFAR10(home, train=name == "train") for name in ("train", "test")}
    order = {name: shuffled(len(part.data)) for name, part in read.items()}
    return Raw(
        **{n: np.ascontiguousarray(part.data.transpose(0, 3, 1, 2))[order[n]] for n, part in read.items()},
        image_size=32,
        channels=3,
        notes=(f"images from {shown(home)}; validation: taken from the training images by a fixed permutation",),
        labels={name: np.array(part.targets)[order[name]] for name, part in read.items()},
        classes=tuple(read["train"].classes),
    )


def _complete(folder: Path) -> bool:
    from torchvision.datasets import CIFAR10
    from torchvision.datasets.utils import check_integrity

    files = [*CIFAR10.train_list, *CIFAR10.test_list, (CIFAR10.meta["filename"], CIFAR10.meta["md5"])]
    return all(check_integrity(folder / CIFAR10.base_folder / name, md5) for name, md5 in files)
