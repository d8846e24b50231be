"""Files of codes: safetensors, or tar archives as webdataset reads them; written beside their name and renamed."""

import io
import json
import os
import tarfile
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from evae.errors import UserError


@dataclass(frozen=True)
class Shard:
    """Codes (n, *shape), float32, of the images from number `first` of a split on; `labels` (n,) integers, -1 for an
    image without, or None where no classes are known."""

    codes: np.ndarray
    labels: np.ndarray | None
    first: int


@dataclass(frozen=True)
class Format:
    """How a shard becomes bytes, and how its codes are read from a file again."""

    suffix: str
    dump: Callable[[Shard, Mapping[str, Any]], bytes]
    read: Callable[[Path], np.ndarray]


def write(path: Path, data: bytes) -> None:
    """Put a file in its place, whole or not at all. Raises UserError where that cannot be done."""
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        with open(part, "wb") as sink:
            sink.write(data)
            sink.flush()
            os.fsync(sink.fileno())
        os.replace(part, path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error}. Free some space; the same command then goes on.") from None
    finally:
        part.unlink(missing_ok=True)


def read(form: Format, path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """The codes of a shard, of this shape. Raises UserError where the file is damaged or holds something else."""
    try:
        codes = form.read(path)
    except (OSError, SafetensorError, tarfile.TarError, ValueError, KeyError, EOFError) as error:
        why = str(error) or type(error).__name__
        raise UserError(f"{path} cannot be read ({why}): remove it, and run the same command again.") from None
    if codes.shape != shape:
        raise UserError(
            f"{path} holds codes {codes.shape} instead of {shape}: remove it, and run the same command again."
        )
    return codes


def _dump_safetensors(shard: Shard, about: Mapping[str, Any]) -> bytes:
    tensors = {"codes": shard.codes} | ({} if shard.labels is None else {"labels": shard.labels})
    # One key: of several, safetensors writes them in an order that changes.
    return save(tensors, metadata={"evae": json.dumps({**about, "first": shard.first}, sort_keys=True)})


def _read_safetensors(path: Path) -> np.ndarray:
    with safe_open(path, framework="numpy") as file:
        return file.get_tensor("codes")


def _dump_tar(shard: Shard, about: Mapping[str, Any]) -> bytes:
    """Of each image NUMBER.npy, and NUMBER.cls where its class is known; NUMBER counts through the split."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for number, code in enumerate(shard.codes):
            key = f"{shard.first + number:09d}"
            array = io.BytesIO()
            np.save(array, code, allow_pickle=False)
            _add(archive, f"{key}.npy", array.getvalue())
            if shard.labels is not None and shard.labels[number] >= 0:
                _add(archive, f"{key}.cls", str(shard.labels[number]).encode())
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)  # of no time and nobody's, so that equal codes give equal files
    entry.size = len(data)
    archive.addfile(entry, io.BytesIO(data))


def _read_tar(path: Path) -> np.ndarray:
    with tarfile.open(path, mode="r:") as archive:
        files = (archive.extractfile(entry) for entry in archive if entry.name.endswith(".npy"))
        return np.stack([np.load(io.BytesIO(file.read()), allow_pickle=False) for file in files])


FORMATS = {
    "safetensors": Format(".safetensors", _dump_safetensors, _read_safetensors),
    "webdataset": Format(".tar", _dump_tar, _read_tar),
}
