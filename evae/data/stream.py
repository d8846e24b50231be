"""Images that stay in their files: an array of them in all that is asked of it, but for the memory that it takes."""

import zlib
from dataclasses import dataclass, replace

import numpy as np

from evae.data.files import Files, Form
from evae.data.names import shown
from evae.data.pictures import BrokenPicture, many


class PictureLost(Exception):
    """A picture that was there when the images were listed, and now is not, or is another."""


@dataclass(frozen=True, eq=False)
class Stream:
    """Images uint8 (n, c, h, w), decoded each time that some are taken, and the same each time.

    Image i is the one with the number `tiles[i]` of what `form` makes of the picture `pictures[i]` of the `files`, and
    `sums[i]` is the CRC-32 of its pixels. The arrays have the shape (n,).

    Raises PictureLost where a file is gone, or gives other pixels than it did: because it has changed, or on a machine
    whose decoder rounds otherwise.
    """

    files: Files
    form: Form
    pictures: np.ndarray
    tiles: np.ndarray
    sums: np.ndarray

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return len(self), *self.form.shape

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(np.uint8)

    @property
    def nbytes(self) -> int:
        """What the images would take in memory."""
        return int(np.prod(self.shape))

    def part(self, chosen: slice | np.ndarray) -> "Stream":
        """These images alone, still in their files."""
        kept = {name: getattr(self, name)[chosen] for name in ("pictures", "tiles", "sums")}
        return replace(self, **kept)

    def __getitem__(self, chosen: slice | np.ndarray) -> np.ndarray:
        return self.part(chosen).read()

    def read(self, threads: int | None = None) -> np.ndarray:
        """All of the images, decoded in so many threads (by default, one for each core of this process)."""
        images = np.empty(self.shape, dtype=np.uint8)

        def fill(i: int) -> None:
            images[i] = self._image(i)

        many(fill, range(len(self)), threads)
        return images

    def _image(self, i: int) -> np.ndarray:
        number = int(self.pictures[i])
        name = shown(self.files.names[number])
        try:
            image = self.form.image(self.files.file(number), int(self.tiles[i]))
        except (BrokenPicture, OSError, IndexError) as error:
            why = error.__cause__ if isinstance(error.__cause__, OSError) else error
            raise PictureLost(f"{name} can no longer be read: {why}") from error
        if checksum(image) != self.sums[i]:
            raise PictureLost(f"{name} has other pixels than when the study began, or another decoder reads it here")
        return image


Split = np.ndarray | Stream
"""A split's images, uint8 (n, c, h, w): in memory, or in their files."""


def checksum(image: np.ndarray) -> int:
    """CRC-32 of an image's pixels."""
    return zlib.crc32(np.ascontiguousarray(image))
