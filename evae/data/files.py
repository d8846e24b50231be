"""Pictures that are known by what an index says of them: where each is, and what images are made of it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from evae.data.bare import File
from evae.data.pictures import cut, decode, tiles
from evae.sizes import ImageSize, sides


class Files(Protocol):
    """Pictures by their numbers in `names`. It holds no pixels and can be sent to other processes."""

    names: Sequence[str]

    def file(self, number: int) -> File:
        """What opens the picture of this number."""


@dataclass(frozen=True)
class Folder:
    """Files by their names relative to a folder."""

    folder: str
    names: Sequence[str]

    def file(self, number: int) -> File:
        return os.path.join(self.folder, self.names[number])


@dataclass(frozen=True)
class Form:
    """What images are made of a picture: of that `size` in px, with so many channels, as the recipe's `fit` says."""

    size: ImageSize
    channels: int
    fit: str

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.channels, *sides(self.size)

    def count(self, size: tuple[int, int]) -> int:
        """How many images a picture of that (width, height) in px gives."""
        return tiles(size, self.size) if self.fit == "tiles" else 1

    def images(self, file: File) -> np.ndarray:
        """All of a picture's, uint8 (n, c, h, w). Raises BrokenPicture."""
        if self.fit == "tiles":
            return cut(file, self.size, self.channels)
        return decode(file, self.size, self.channels, self.fit)[None]

    def image(self, file: File, which: int) -> np.ndarray:
        """One of them, uint8 (c, h, w). Raises BrokenPicture."""
        if self.fit == "tiles":
            return cut(file, self.size, self.channels, which)[0]
        return decode(file, self.size, self.channels, self.fit)
