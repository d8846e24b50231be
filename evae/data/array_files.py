"""Files .npz, .npy and .pt as arrays by name, read so that nothing in them is run."""

from __future__ import annotations

import os
import pickle
import zipfile
import zlib
from typing import Any

import numpy as np

from evae.data.names import shown
from evae.errors import UserError
from evae.home import expanded
from evae.lazy import torch

ENDINGS = ("npz", "npy", "pt")
PARTS = ("images", "labels")
"""What the places of a tuple in a .pt file are called."""


def read_arrays(path: str, ending: str) -> dict[str, np.ndarray]:
    """The arrays of a file by their names; the only one of a file without names is "images". Those of .npy and .pt stay
    in the file until they are looked at.

    Raises UserError for a file that is missing, cut off or of another kind, and for one that holds objects, which would
    have to be unpickled.
    """
    given, name = expanded(path), shown(path)
    if not os.path.isfile(given):
        raise UserError(f"there is no file {name}: give {ending}:FILE.{ending}")
    if (other := os.path.splitext(path)[1][1:].lower()) in ENDINGS and other != ending:
        raise UserError(f"{name} is a file of another kind: give {other}:{name}")
    try:
        return {"npz": _npz, "npy": _npy, "pt": _pt}[ending](given, name)
    except OSError as error:
        raise UserError(f"{name} cannot be read: {error.strerror or error}") from None


def _npz(path: str, name: str) -> dict[str, np.ndarray]:
    try:
        with open(path, "rb") as opened:  # which numpy leaves open where it is damaged
            file = np.load(opened, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise UserError(f"{name} holds one array without a name: give npy:{name}")
            return {key: file[key] for key in file}
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:  # the last: encrypted
        raise UserError(f"{name} is cut off or damaged ({error}): write or fetch it again") from None
    except ValueError as error:
        raise UserError(f"{name} {_objects(error) or 'is no file of numpy.savez'}") from None


def _npy(path: str, name: str) -> dict[str, np.ndarray]:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        whole = _objects(error) or "is no array as numpy.save writes it, or is cut off: write or fetch it again"
        raise UserError(f"{name} {whole}") from None
    if not isinstance(array, np.ndarray):
        raise UserError(f"{name} holds arrays with names: give npz:{name}")
    return {"images": array}


def _objects(error: Exception) -> str | None:
    """What is to be said where numpy will not unpickle."""
    if not any(words in str(error) for words in ("Object arrays", "Python objects")):
        return None
    return "holds objects, which are never loaded: save an array of numbers, images of one size, as uint8"


def _pt(path: str, name: str) -> dict[str, np.ndarray]:
    try:
        found = _loaded(path)
    except pickle.UnpicklingError:
        raise UserError(
            f"{name} holds more than tensors, which would have to be unpickled, and never is: torch.save(tensor), or a "
            "dict of tensors"
        ) from None
    except Exception as error:  # a damaged file makes torch raise errors of any type
        why = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(f"{name} is no file of torch.save, or is cut off ({why}): write or fetch it again") from None
    if isinstance(found, tuple | list):
        found = dict(zip(PARTS, found, strict=False)) if len(found) <= len(PARTS) else None
    given = found if isinstance(found, dict) else {"images": found}
    arrays = {key: _array(value) for key, value in given.items() if isinstance(value, torch.Tensor)}
    if not arrays:
        raise UserError(f"{name} holds no tensor: torch.save(tensor), a dict of tensors, or (images, labels)")
    return {str(key): value for key, value in arrays.items()}


def _loaded(path: str) -> Any:
    with open(path, "rb") as file:
        mapped = file.read(2) == b"PK"  # older files of torch.save cannot be mapped
    return torch.load(path, mmap=mapped, map_location="cpu", weights_only=True)


def _array(tensor: torch.Tensor) -> np.ndarray:
    tensor = tensor.detach()
    if tensor.layout != torch.strided:
        tensor = tensor.to_dense()
    try:
        return tensor.numpy()
    except TypeError:  # numpy has no such numbers, as bfloat16 and those of 8 bits
        return tensor.float().numpy()
