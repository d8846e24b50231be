"""Small data sets in their real file formats."""

import gzip
import hashlib
import io
import pickle
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def idx(array: np.ndarray) -> bytes:
    """The IDX form of a uint8 array, as MNIST's authors define it."""
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_mnist(folder: Path, compressed: bool, seed: int) -> None:
    """The four files of a set like MNIST: 300 training and 40 test images."""
    folder.mkdir(parents=True)
    for stem, count in (("train", 300), ("t10k", 40)):
        parts = {"images-idx3": noise(count, 28, 28, seed=seed + count), "labels-idx1": noise(count) % 10}
        for part, array in parts.items():
            content = idx(array)
            name = f"{stem}-{part}-ubyte"
            if compressed:
                (folder / f"{name}.gz").write_bytes(gzip.compress(content))
            else:
                (folder / name).write_bytes(content)


def write_arrays(root: Path) -> None:
    """80 images as an array, with a name, without one, and as a tensor."""
    images = noise(80, 16, 16, 3)
    np.save(root / "arrays.npy", images)
    np.savez(root / "arrays.npz", images=images)
    torch.save(torch.from_numpy(images), root / "arrays.pt")


def write_hugging_face(folder: Path, pictures: Path) -> None:
    """The pictures below a folder as save_to_disk writes them."""
    from datasets import Dataset, Features, Image

    rows = {"image": [{"bytes": path.read_bytes(), "path": None} for path in sorted(pictures.rglob("*.png"))]}
    Dataset.from_dict(rows, features=Features({"image": Image(decode=False)})).save_to_disk(folder)


def write_celeba(home: Path) -> None:
    """24 training, 10 validation and 5 test faces of CelebA's size."""
    (home / "img_align_celeba").mkdir(parents=True)
    lines = []
    for number in range(39):
        name = f"{number + 1:06}.jpg"
        Image.fromarray(noise(218, 178, 3, seed=number)).save(home / "img_align_celeba" / name)
        lines.append(f"{name} {0 if number < 24 else 1 if number < 34 else 2}")
    (home / "list_eval_partition.txt").write_text("\n".join(lines) + "\n")


def write_cifar(root: Path, patch: pytest.MonkeyPatch) -> None:
    """Ten images a batch; torchvision is told the sums of these files, which it checks."""
    from torchvision.datasets import CIFAR10  # takes seconds, and not every process of the tests needs it

    home = root / CIFAR10.base_folder
    home.mkdir(parents=True)

    def write(name: str, content: dict) -> list[str]:
        data = pickle.dumps(content)
        (home / name).write_bytes(data)
        return [name, hashlib.md5(data).hexdigest()]

    batches = [
        write(name, {"data": noise(10, 3072, seed=number), "labels": list(range(10))})
        for number, (name, _) in enumerate(CIFAR10.train_list + CIFAR10.test_list)
    ]
    patch.setattr(CIFAR10, "train_list", batches[:-1])
    patch.setattr(CIFAR10, "test_list", batches[-1:])
    meta = write("batches.meta", {"label_names": [str(label) for label in range(10)]})
    patch.setattr(CIFAR10, "meta", {"filename": meta[0], "key": "label_names", "md5": meta[1]})


def write_pictures(folder: Path, count: int, size: tuple[int, int] = (40, 50), seed: int = 0) -> None:
    """Colour noise of `size` (width, height), as PNG files in two folders."""
    for number in range(count):
        path = folder / f"{'ab'[number % 2]}" / f"{seed}-{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(size[1], size[0], 3, seed=1000 * seed + number)).save(path)


def write_shard(path: Path, content: dict[str, bytes]) -> None:
    """A tar file of these members, as webdataset writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, data in content.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))


def write_shards(folder: Path, count: int, shards: int = 3, stem: str = "part", seed: int = 0) -> None:
    """Pictures of 40 x 50 px in colour noise with their classes, spread over shards."""
    for shard in range(shards):
        content = {}
        for number in range(shard, count, shards):
            file = io.BytesIO()
            Image.fromarray(noise(50, 40, 3, seed=1000 * seed + number)).save(file, "PNG")
            content |= {f"{number:04}.png": file.getvalue(), f"{number:04}.cls": str(number % 2).encode()}
        write_shard(folder / f"{stem}-{shard:03}.tar", content)


def write_tiff(path: Path, values: np.ndarray, bits: int, photometric: int = 1, order: str = "<", **more: int) -> None:
    """An uncompressed grey TIFF of `values` (height, width): `bits` a sample, black 0 (1) or white 0 (photometric 0).

    `order` is "<" or ">", for Intel's or Motorola's. Further tags, which fit 32 bits, are given as `t339=2`.
    """
    if bits in (16, 32):
        data = values.astype(f"{order}u{bits // 8}").tobytes()
    else:  # packed, most significant bit first, rows filled up to whole bytes
        rows = np.unpackbits(values.astype(">u4")[..., None].view(np.uint8), axis=-1)[..., -bits:]
        data = np.packbits(rows.reshape(len(values), -1), axis=-1).tobytes()
    height, width = values.shape
    entries = {
        256: width,
        257: height,
        258: bits,
        259: 1,
        262: photometric,
        273: 0,
        277: 1,
        278: height,
        279: len(data),
    }
    entries |= {int(name[1:]): value for name, value in more.items()}
    entries[273] = 8 + 2 + 12 * len(entries) + 4
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(entries))
    for tag, value in sorted(entries.items()):
        is_long = value > 0xFFFF or tag in (273, 279)
        head += struct.pack(f"{order}HHI", tag, 4 if is_long else 3, 1)
        head += struct.pack(f"{order}I" if is_long else f"{order}HH", *([value] if is_long else [value, 0]))
    path.write_bytes(head + bytes(4) + data)
