"""The real images that distances are taken to: their statistics, computed once per study and machine."""

import contextlib
import functools
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from evae.metrics.features import Features
from evae.metrics.frechet import Moments, frechet_distance, kernel_distance_sd
from evae.metrics.neighbours import near_distance, radii
from evae.metrics.sharpness import sharpness
from evae.signals import as_images

VERSION = 3
"""Raised whenever the same images would give other statistics, so that older cache files are not used."""
DEFAULT_CACHE = Path("~/.cache/evae")
CHUNK, CHUNK_BYTES = 1000, 2**28
TRAIN_IMAGES = 2000
"""Training images at most whose features are taken, to see copies of them among samples."""


class Real(Protocol):
    """Real images, uint8 (n, c, h, w): an array, or what decodes some of them when they are taken."""

    shape: Any
    nbytes: Any

    def __len__(self) -> int: ...

    def __getitem__(self, chosen: Any, /) -> np.ndarray: ...


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Real images on one network's features, as numpy arrays, so that it is cheap to send to other processes.

    `features` (n, dim) float32; `sum` (dim,) and `outer` (dim, dim) their float64 moments; `mean_sharpness`
    the images' mean sharpness. `fd_floor` is the Fréchet distance from `floor_n` other real images: what a perfect
    generator of as many images would get. A kernel distance, whose estimate is unbiased, would then be 0 on average,
    with the standard deviation `kd_sd`. `train` (m, dim) are the features of training images, a share `train_share` of
    them all.
    """

    features: np.ndarray
    sum: np.ndarray
    outer: np.ndarray
    mean_sharpness: np.ndarray
    fd_floor: np.ndarray
    kd_sd: np.ndarray
    floor_n: np.ndarray
    train: np.ndarray
    train_share: np.ndarray

    @property
    def n(self) -> int:
        return len(self.features)

    @property
    def sharpness(self) -> float:
        return float(self.mean_sharpness)

    @property
    def floor(self) -> float:
        return float(self.fd_floor)

    @cached_property
    def moments(self) -> Moments:
        # Copied, because arrays that came from another process are read-only.
        arrays = {name: torch.from_numpy(np.array(getattr(self, name))) for name in ("sum", "outer")}
        return Moments.from_dict({"count": torch.tensor(self.n), **arrays})

    @cached_property
    def rows(self) -> torch.Tensor:
        """`features` as a tensor."""
        return torch.from_numpy(np.array(self.features))

    @cached_property
    def radii(self) -> torch.Tensor:
        """(n,): see `neighbours.radii`."""
        return radii(self.rows)

    @cached_property
    def train_distance(self) -> float:
        """How far the images are from the training images."""
        return self.distance_to_train(self.rows)

    def distance_to_train(self, features: torch.Tensor) -> float:
        """See `neighbours.near_distance`."""
        return near_distance(features, torch.from_numpy(np.array(self.train)), float(self.train_share))

    def arrays(self) -> dict[str, np.ndarray]:
        """The fields by name."""
        return {item.name: np.asarray(getattr(self, item.name)) for item in fields(self)}

    def __getstate__(self) -> dict[str, np.ndarray]:
        # Without what is cached, which more than doubles the size and is quickly made again.
        return self.arrays()


def references(
    splits: Mapping[str, Real], train: Real, features: Features, cache: Path | None = DEFAULT_CACHE
) -> dict[str, Reference]:
    """The statistics of the uint8 images (n, c, h, w) of each split, and their floor against as many of `train`.

    `train` are real images that are in none of the splits; of more than n, n are drawn, always the same, and so are
    those whose features are kept. Looked up by content in the folder `cache`, None for no cache; a damaged file is
    computed anew.
    """
    kept = _Some(train, _draw(train, TRAIN_IMAGES))
    share = len(kept) / len(train)

    @functools.cache
    def of_train() -> np.ndarray:
        return _extract(kept, features)[0].numpy()

    found = {}
    for split, images in splits.items():
        real, others = _Some(images, np.arange(len(images))), _Some(train, _draw(train, len(images)))
        measure = functools.partial(_measure, real, others, features, of_train, share)
        key = _key((real, others, kept), share, features)
        found[split] = measure() if cache is None else _cached(measure, cache, key)
    return found


def reference(images: Real, train: Real, features: Features, cache: Path | None = DEFAULT_CACHE) -> Reference:
    """The statistics of one split's images: see `references`."""
    return references({"": images}, train, features, cache)[""]


def distance_identity(
    features: Features, reference: Reference, *, kind: str, kernel: bool, n_generated: int, split: str, seed: int
) -> dict[str, str | int | float | None]:
    """What a distance was taken on: without all of these equal, two values are not comparable.

    `kind` is "rec" for reconstructions, else the side of the samples; `kernel` says that it is a kernel distance and
    not a Fréchet distance. `floor` is what nothing can be expected to fall below: of reconstructions, which are of the
    same images, 0. Where it is an average that single values scatter around, `floor_sd` is their standard deviation,
    else None. `pairs` says of a kernel distance of reconstructions how it treats an image and its own (else None).
    """
    generated = kind != "rec"
    return {
        "features": features.name,
        "digest": features.digest,
        "resize": features.resize,
        "n_real": reference.n,
        "n_generated": n_generated,
        "split": split,
        "seed": seed,
        "pairs": "left out" if kernel and not generated else None,
        "floor": reference.floor if generated and not kernel else 0.0,
        "floor_sd": float(reference.kd_sd) if generated and kernel else None,
        "floor_n": int(reference.floor_n),
    }


@dataclass(frozen=True)
class _Some:
    """Some of the images, of which a chunk is in memory at a time."""

    images: Real
    which: np.ndarray

    def __len__(self) -> int:
        return len(self.which)

    def chunks(self) -> Iterator[np.ndarray]:
        size = min(CHUNK, max(1, CHUNK_BYTES * len(self.images) // self.images.nbytes))
        for start in range(0, len(self), size):
            yield self.images[self.which[start : start + size]]


def _draw(train: Real, count: int) -> np.ndarray:
    """Which of the images, at most `count`: always the same."""
    return np.sort(np.random.default_rng(0).permutation(len(train))[:count])


def _cached(measure: Callable[[], Reference], cache: Path, key: str) -> Reference:
    path = Path(os.path.expanduser(cache)) / f"reference-{key}.safetensors"
    with contextlib.suppress(OSError, SafetensorError, KeyError):
        arrays = load_file(path)
        return Reference(**{item.name: arrays[item.name] for item in fields(Reference)})
    found = measure()
    # A cache only saves time: where it cannot be written, a study goes on without.
    with contextlib.suppress(OSError):
        _save(found, path)
    return found


def _measure(
    images: _Some, others: _Some, features: Features, of_train: Callable[[], np.ndarray], share: float
) -> Reference:
    real, sharp = _extract(images, features)
    other, _ = _extract(others, features)
    moments, other_moments = Moments(), Moments()
    moments.update(real)
    other_moments.update(other)
    return Reference(
        features=real.numpy(),
        sum=moments.sum.numpy(),
        outer=moments.outer.numpy(),
        mean_sharpness=np.float64(sharp),
        fd_floor=np.float64(frechet_distance(other_moments, moments)),
        kd_sd=np.float64(kernel_distance_sd(real, len(real))),
        floor_n=np.int64(len(others)),
        train=of_train(),
        train_share=np.float64(share),
    )


def _extract(some: _Some, features: Features) -> tuple[torch.Tensor, float]:
    """Features (n, dim) on the CPU and the mean sharpness of uint8 images, or of signals."""
    rows, total = [], 0.0
    for images in some.chunks():
        chunk = as_images(torch.from_numpy(images))
        rows.append(features(chunk).cpu())
        total += float(sharpness(chunk).double().sum())
    return torch.cat(rows), total / len(some)


def _key(given: Iterable[_Some], share: float, features: Features) -> str:
    """Names everything the statistics depend on."""
    digest = hashlib.sha256()
    for some in given:
        digest.update(repr((len(some), *some.images.shape[1:])).encode())
        for images in some.chunks():
            digest.update(np.ascontiguousarray(images).data)
    digest.update(repr((VERSION, share, features.name, features.digest, features.resize)).encode())
    return digest.hexdigest()[:32]


def _save(found: Reference, path: Path) -> None:
    """Write beside the file and rename: a reader never sees half of it, and of two writers one wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as beside:
        part = Path(beside) / path.name
        save_file(found.arrays(), part)
        os.replace(part, path)
