"""Pictures to images, kept in memory or only listed: each once, however often it is there."""

import hashlib
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from evae.data import own_splits
from evae.data.account import Account
from evae.data.base import VALIDATION_IMAGES, DataRecipe
from evae.data.files import Files, Form
from evae.data.names import listed, shown
from evae.data.pictures import BrokenPicture, many
from evae.data.room import FITS
from evae.data.stream import Split, Stream, checksum
from evae.errors import UserError
from evae.sizes import in_px

CHUNK_FILES = 256
CHUNK_BYTES = 2**28


@dataclass
class Reader:
    """Decodes pictures; enters into the account which are broken, and which show the same as another.

    Where they are not to `keep`, pixels are forgotten once they were seen, and a `Stream` says where they are.
    """

    files: Files
    form: Form
    account: Account
    keep: bool
    seen: dict[bytes, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.number = {name: number for number, name in enumerate(self.files.names)}

    def count(self, names: Sequence[str]) -> int:
        """How many images these pictures give by their headers."""
        return sum(self._count(name) for name in names)

    def _count(self, name: str) -> int:
        return self.form.count(self.account.headers[name].size)

    def take(self, names: Sequence[str], wanted: int | None) -> tuple[Split, list[str]]:
        """The first `wanted` images (None: all) of usable pictures, uint8 (n, c, h, w), and the picture of each."""
        there = self.count(names)
        wanted = there if wanted is None else min(wanted, there)
        images = np.empty((wanted if self.keep else 0, *self.form.shape), dtype=np.uint8)
        left, taken, tiles, sums = iter(names), [], [], []
        of_picture = math.prod(self.form.shape) * max(map(self._count, names), default=1)
        most = max(1, min(CHUNK_FILES, CHUNK_BYTES // of_picture))
        while chunk := list(itertools.islice(left, min(most, wanted - len(taken)))):
            for name, made in zip(chunk, many(self._decode, chunk), strict=True):
                for tile, image in enumerate(made[: wanted - len(taken)]):
                    if not self._is_new(name if len(made) == 1 else f"{name}, tile {tile}", image):
                        continue
                    if self.keep:
                        images[len(taken)] = image
                    else:
                        tiles.append(tile)
                        sums.append(checksum(image))
                    taken.append(name)
        if self.keep:
            return images[: len(taken)], taken
        index = np.array([self.number[name] for name in taken], dtype=np.int64)
        rows = index, np.array(tiles, dtype=np.int32), np.array(sums, dtype=np.uint32)
        return Stream(self.files, self.form, *rows), taken

    def _decode(self, name: str) -> np.ndarray | tuple[()]:
        try:
            return self.form.images(self.files.file(self.number[name]))
        except BrokenPicture as error:
            self.account.broken[name] = str(error)
            return ()

    def _is_new(self, name: str, image: np.ndarray) -> bool:
        digest = hashlib.sha256(image.tobytes()).digest()
        if digest in self.seen:
            self.account.copies[name] = self.seen[digest]
        return self.seen.setdefault(digest, name) == name


@dataclass(frozen=True)
class Taken:
    """The images of each split, as `Raw` has them, and the name of the picture of each."""

    images: dict[str, Split]
    names: dict[str, list[str]]


def take_splits(
    recipe: DataRecipe, parts: own_splits.Split, files: Files, form: Form, account: Account, fits: FITS
) -> Taken:
    """Each split's images, in memory where all of them fit. Only as many pictures are decoded as the recipe's caps ask
    for, those of the test first: what is there twice is never trained on where it is measured.

    Raises UserError where a split has too few, and where pictures are smaller than a tile.
    """
    _check_tiles(form, account)
    reader = Reader(files, form, account, keep=True)
    train, validation, cap = parts.train, parts.validation, recipe.train_images
    if form.fit == "tiles" and validation is None:
        validation, train = _whole_pictures(recipe.validation_images, train, reader)
    wanted = recipe.validation_images or VALIDATION_IMAGES
    if validation is None and cap is not None:
        cap += wanted
    caps = {"test": (parts.test, recipe.test_images), "validation": (validation, wanted), "train": (train, cap)}
    asked = {split: (names, cap) for split, (names, cap) in caps.items() if names is not None}
    counts = [(reader.count(names), cap) for names, cap in asked.values()]
    many = sum(there if cap is None else min(there, cap) for there, cap in counts)
    reader.keep = fits(many * math.prod(form.shape))
    found = {split: reader.take(names, cap) for split, (names, cap) in asked.items()}
    images, names = ({split: pair[i] for split, pair in found.items()} for i in (0, 1))
    # One at least is cut from the training images where there is no validation yet.
    fewest = {"train": 1 if "validation" in images else 2, "validation": 1, "test": 1}
    if any(len(some) < fewest[split] for split, some in images.items()):
        called = {"train": "training", "validation": "validation", "test": "the test"}
        has = [f"{len(images[split])} for {called[split]}" for split in called if split in images]
        counted = f"{', '.join(has[:-1])} and {has[-1]}"
        raise UserError(
            f"{shown(recipe.path)} has too few pictures: {counted}. Give at least a few dozen that differ, or "
            "put some into folders train, val and test. What is there: " + "; ".join([*account.reasons(), *parts.notes])
        )
    return Taken(images, names)


def _check_tiles(form: Form, account: Account) -> None:
    sizes = {name: header.size for name, header in account.headers.items()}
    if small := sorted(name for name, size in sizes.items() if not form.count(size)):
        least = min(min(size) for size in sizes.values())
        are = "picture is" if len(small) == 1 else "pictures are"
        raise UserError(
            f"{len(small):,} of {len(sizes):,} {are} smaller than a tile of {in_px(form.size)} ({listed(small)}): take "
            f"them out, give image_size at most {least}, or let fit be resize."
        )


def _whole_pictures(wanted: int | None, names: Sequence[str], reader: Reader) -> tuple[list[str], list[str]]:
    """Pictures for validation, with at least so many tiles, and those that remain: no picture is in both."""
    if wanted is None:
        wanted = min(VALIDATION_IMAGES, max(1, reader.count(names) // 8))
    sums = np.cumsum([reader.count([name]) for name in names])
    first = int(np.searchsorted(sums, wanted)) + 1
    return list(names[:first]), list(names[first:])
