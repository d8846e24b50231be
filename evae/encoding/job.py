"""A data set encoded shard by shard: what is there stays, what is missing is made, and at the end stands how to scale.

OUT/codes.json                  what they are codes of; `complete` once all are there, with scale and shift
OUT/train-000000.safetensors    codes (n, *shape) of the first images of the split; or .tar
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from evae.checkpoints import Kept
from evae.data import batch
from evae.data.base import ImageSet
from evae.encoding import shards
from evae.encoding.shards import FORMATS, Shard
from evae.errors import UserError, unknown
from evae.hardware import repeatable
from evae.training import generator

FORMAT = "evae-codes-1"
ABOUT = "codes.json"
SPLITS = ("train", "validation", "test")
KINDS = ("mean", "sample")
BATCH = 100
"""Images encoded at a time; the noise of sampled codes depends on it."""
NOISE = 600
"""The random stream of sampled codes, beside those of trainings and evaluations: one for each split."""
LINE_EVERY_S = 10.0


@dataclass(frozen=True)
class Job:
    """The codes of `images` under a model: the posterior's "mean", or one "sample" of it with this seed, in shards of
    so many images. Raises UserError for unknown words."""

    kept: Kept
    images: ImageSet
    code: str = "mean"
    seed: int = 0
    form: str = "safetensors"
    per_shard: int = 1000

    def __post_init__(self) -> None:
        check_asked(self.code, self.form, self.per_shard)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one code: (latent,), or (channels, height, width)."""
        return self.kept.model.code_shape

    def describe(self) -> dict[str, Any]:
        """What the codes are, by which the same job is known again."""
        return {
            "format": FORMAT,
            "file_format": self.form,
            "model": {"weights_sha256": self.kept.digest, "recipe": self.kept.recipe.to_dict()},
            "data": self.images.describe(),
            "code": self.code,
            "seed": self.seed if self.code == "sample" else None,
            "shape": list(self.shape),
            "shard_size": self.per_shard,
        }

    def files(self, split: str) -> Iterator[tuple[str, int, int]]:
        """(name, first image, how many) of each shard of a split."""
        count = len(getattr(self.images, split))
        for number, first in enumerate(range(0, count, self.per_shard)):
            yield f"{split}-{number:06d}{FORMATS[self.form].suffix}", first, min(self.per_shard, count - first)


def check_asked(code: str, form: str, per_shard: int) -> None:
    """Raise UserError for words that are not known, and for a size of shards that no batches fill."""
    if code not in KINDS:
        raise unknown("kind of code", code, KINDS)
    if form not in FORMATS:
        raise unknown("format of codes", form, FORMATS)
    if per_shard < BATCH or per_shard % BATCH:
        raise UserError(f"--shard-size must be a multiple of {BATCH}, got {per_shard}")


def check_folder(folder: Path) -> None:
    """Raise UserError for a folder that cannot be read, and for one of other things than codes."""
    try:
        names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error}. Give another --to.") from None
    # Beside what a run left that was killed before it had marked the folder.
    if ABOUT not in names and any(not Path(name).match(f".{ABOUT}.*.part") for name in names):
        raise UserError(f"{folder} is not empty, and holds no codes of evae: give another --to.")


def encode(job: Job, folder: Path, device: torch.device, say: Callable[[str], None] = print) -> dict[str, Any]:
    """Write what is missing of the job's shards, and then what all of them are; that is returned.

    Only one shard of codes is in memory at a time. Raises UserError where the folder holds something else, or codes
    are no finite numbers.
    """
    about = job.describe()
    repeatable(device)
    _begin(folder, about)
    todo = [(split, *file) for split in SPLITS for file in job.files(split) if not (folder / file[0]).exists()]
    total, there = sum(n for *_, n in todo), sum(len(getattr(job.images, split)) for split in SPLITS)
    if total < there:
        say(f"{there - total} of {there} {job.images.kind} are encoded already")
    model, done, started = job.kept.model.to(device), 0, time.monotonic()
    spoken = started
    for split, name, first, count in todo:
        shard = Shard(_codes(job, model, split, first, count, device), _labels(job, split, first, count), first)
        shards.write(folder / name, FORMATS[job.form].dump(shard, about))
        done, now = done + count, time.monotonic()
        if now - spoken > LINE_EVERY_S or done == total:
            spoken = now
            say(f"encoded {done}/{total} {job.images.kind}, about {(now - started) / done * (total - done):.0f} s left")
    about |= {"complete": True, "splits": _splits(job), **_scaling(job, folder)}
    shards.write(folder / ABOUT, json.dumps(about, indent=2).encode())
    return about


def _begin(folder: Path, about: dict[str, Any]) -> None:
    """Mark the folder as this job's. Raises UserError where it is something else's."""
    check_folder(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for part in folder.glob(".*.part"):  # of a run that was killed
            part.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error}. Give another --to.") from None
    if not (folder / ABOUT).exists():
        shards.write(folder / ABOUT, json.dumps(about | {"complete": False}, indent=2).encode())
        return
    try:
        there = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        different = [name for name in about if there.get(name) != about[name]]
    except (OSError, ValueError, AttributeError) as error:
        raise UserError(f"{folder / ABOUT} cannot be read ({error}): give another --to.") from None
    if different:
        differences = "; ".join(
            f"{name}: {_short(there.get(name))} there, {_short(about[name])} now" for name in different
        )
        raise UserError(f"{folder} holds other codes ({differences}): give another --to.")


def _short(value: Any) -> str:
    """What differs may be a whole recipe; its digest tells enough."""
    if isinstance(value, dict):
        value = value.get("weights_sha256") or value.get("digest")
    return str(value)


@torch.no_grad()
def _codes(job: Job, model: Any, split: str, first: int, count: int, device: torch.device) -> np.ndarray:
    images, found = getattr(job.images, split), []
    for start in range(first, first + count, BATCH):
        which = slice(start, min(start + BATCH, first + count))
        heads = model.encode(batch(images, which, device))
        if job.code == "mean":
            codes = model.posterior.mean(heads)
        else:
            # By the place of the batch, so that a shard's noise is the same whichever shards were made before.
            noise = generator(device, job.seed, start, NOISE + SPLITS.index(split))
            codes = model.posterior.sample(heads, noise)
        found.append(codes.unflatten(1, job.shape).float().cpu())
    codes = torch.cat(found)
    if not codes.isfinite().all():
        worst = int((~codes.flatten(1).isfinite()).any(1).nonzero()[0])
        raise UserError(
            f"the code of {split} {job.images.kind[:-1]} {first + worst} is no finite number: train another model."
        )
    return codes.numpy()


def _labels(job: Job, split: str, first: int, count: int) -> np.ndarray | None:
    labels = job.images.labels
    return None if labels is None else getattr(labels, split)[first : first + count]


def _splits(job: Job) -> dict[str, Any]:
    return {
        split: {"n": len(getattr(job.images, split)), "files": [name for name, *_ in job.files(split)]}
        for split in SPLITS
    }


def _scaling(job: Job, folder: Path) -> dict[str, Any]:
    """Shift and scale of each channel (of a vector, of each latent) over the training split: mean and 1 / standard
    deviation, or 1 where that is 0. All shards are read, so that none is taken for whole that is not."""

    def over(split: str) -> Iterator[np.ndarray]:
        for name, _, count in job.files(split):
            codes = shards.read(FORMATS[job.form], folder / name, (count, *job.shape))
            yield codes.reshape(count, job.shape[0], -1).astype(np.float64)

    for split in SPLITS[1:]:
        for _ in over(split):
            pass
    numbers = len(job.images.train) * int(np.prod(job.shape[1:]))
    mean = sum(codes.sum((0, 2)) for codes in over("train")) / numbers
    variance = sum(((codes - mean[:, None]) ** 2).sum((0, 2)) for codes in over("train")) / numbers
    std = np.sqrt(variance)
    return {
        "scaled": "(code - shift) * scale, with one of each for every channel; over the training split",
        "shift": mean.tolist(),
        "scale": np.divide(1, std, out=np.ones_like(std), where=std > 0).tolist(),
    }
