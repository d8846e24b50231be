"""Reading images in the IDX format of MNIST and its relatives."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from evae.data.names import shown
from evae.errors import UserError

MAGIC_UINT8_3D = 0x00000803


def read_idx(path: Path) -> np.ndarray:
    """The images of an IDX file (.gz or not) as a read-only uint8 array (n, 1, h, w).

    Format: http://yann.lecun.com/exdb/mnist. Raises UserError for a file that is damaged, cut short or too
    long, or holds something other than square images.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rb") as file:
            content = file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{shown(path)} cannot be read ({error}): fetch it again") from error
    if len(content) < 16 or struct.unpack(">I", content[:4])[0] != MAGIC_UINT8_3D:
        raise UserError(f"{shown(path)} is not an IDX file of images: fetch it again")
    shape = struct.unpack(">III", content[4:16])
    if len(content) != 16 + math.prod(shape):
        raise UserError(
            f"{shown(path)} has {len(content):,} bytes instead of {16 + math.prod(shape):,}: fetch it again"
        )
    if shape[1] != shape[2]:
        raise UserError(f"{shown(path)} holds images of {shape[2]} x {shape[1]} px; only square ones can be used")
    return np.frombuffer(content, dtype=np.uint8, offset=16).reshape(shape[0], 1, *shape[1:])
