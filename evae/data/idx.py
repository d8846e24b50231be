"""Reading images and labels in the IDX format of MNIST and its relatives."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from evae.data.names import shown
from evae.errors import UserError

MAGIC_UINT8 = 0x00000800
"""And the number of dimensions."""


def read_idx(path: Path) -> np.ndarray:
    """The images of an IDX file (.gz or not) as a read-only uint8 array (n, 1, h, w).

    Raises UserError for a file that is damaged, cut short or too long, or holds something other than images.
    """
    return _read(path, 3, "images")[:, None]


def read_idx_labels(path: Path) -> np.ndarray:
    """The labels of an IDX file (.gz or not) as a read-only uint8 array (n,). Raises UserError for a damaged one."""
    return _read(path, 1, "labels")


def _read(path: Path, dimensions: int, what: str) -> np.ndarray:
    """The array of a file. Format: http://yann.lecun.com/exdb/mnist."""
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rb") as file:
            content = file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{shown(path)} cannot be read ({error}): fetch it again") from error
    start = 4 + 4 * dimensions
    if len(content) < start or struct.unpack(">I", content[:4])[0] != MAGIC_UINT8 + dimensions:
        raise UserError(f"{shown(path)} is not an IDX file of {what}: fetch it again")
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    if len(content) != start + math.prod(shape):
        raise UserError(
            f"{shown(path)} has {len(content):,} bytes instead of {start + math.prod(shape):,}: fetch it again"
        )
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)
