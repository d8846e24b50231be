"""`folder:PATH`: any folder of pictures, with its own split or one that stays when pictures are added."""

import hashlib
import itertools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from evae.data.account import Account, Header
from evae.data.base import VALIDATION_IMAGES, DataRecipe, Raw, data_source
from evae.data.classes import find_classes
from evae.data.names import shown
from evae.data.own_splits import split
from evae.data.pictures import BrokenPicture, NotAPicture, decode, has_several, is_grey, look_at, many
from evae.data.walk import walk
from evae.errors import UserError
from evae.home import expanded

DEFAULT_SIZE_PX = 64
NATIVE_SIZES_PX = (32, 64)  # kept when all pictures have it
CHUNK_FILES = 256


@data_source("folder", path=True)
def read(recipe: DataRecipe, root: Path) -> Raw:
    """All pictures under the folder, at any depth, in the splits that `own_splits.split` makes of them.

    Linked folders are followed, hidden ones are not (`walk`). Everything that is not used is counted and named
    in the notes, and so are pictures of which a part is used only. Pictures that are equal pixel for pixel are
    taken once, so that no test image is trained on. Only as many files are decoded as the recipe's caps ask for.
    Labels are what `find_classes` makes of the folders.

    Raises UserError for a folder that is missing or empty, or has no usable picture in one of the splits.
    """
    folder = expanded(recipe.path)
    account = _survey(folder)
    parts = split(list(account.headers))
    account.leave_out(parts.outside)
    size = recipe.image_size or _native_size(account.headers)
    channels = recipe.channels or (1 if all(header.grey for header in account.headers.values()) else 3)
    reader = _Reader(folder, size, channels, recipe.fit, account)
    cap, wanted = recipe.train_images, recipe.validation_images or VALIDATION_IMAGES
    classes = find_classes(list(account.headers))
    taken = {}
    test, taken["test"] = reader.take(parts.test, recipe.test_images)
    validation = None
    if parts.validation is not None:
        validation, taken["validation"] = reader.take(parts.validation, wanted)
    elif cap is not None:
        cap += wanted
    train, taken["train"] = reader.take(parts.train, cap)
    # One at least is cut from the training images where there is no validation yet.
    too_few = len(train) < 2 if validation is None else not len(train) or not len(validation)
    if too_few or not len(test):
        counts = f"{len(train)} for training and {len(test)} for the test"
        if validation is not None:
            counts = f"{len(train)} for training, {len(validation)} for validation and {len(test)} for the test"
        raise UserError(
            f"{shown(folder)} has too few pictures: {counts}. Give at least a few dozen that differ. What is there: "
            + "; ".join([*account.reasons(), *parts.notes])
        )
    notes = (*parts.notes, *classes.notes, *account.notes(size, recipe.fit))
    return Raw(
        train=train,
        test=test,
        validation=validation,
        image_size=size,
        channels=channels,
        notes=notes,
        reasons=tuple(account.reasons()),
        labels={name: classes.labels(names) for name, names in taken.items()},
        classes=classes.names,
    )


def _survey(folder: str) -> Account:
    """All pictures by their headers; raises UserError where there is none."""
    if not os.path.isdir(folder):
        raise UserError(f"{shown(folder)} is not a folder: give folder:PATH, the path of a folder of pictures")
    try:
        found = walk(folder)
    except OSError as error:
        raise UserError(f"{shown(folder)} cannot be listed: {error.strerror}") from error
    account = Account(found)

    def probe(name: str) -> Header | BrokenPicture:
        try:
            return look_at(os.path.join(folder, name), _header)
        except BrokenPicture as error:
            return error

    for name, seen in zip(found.files, many(probe, found.files), strict=True):
        if isinstance(seen, Header):
            account.headers[name] = seen
        elif isinstance(seen, NotAPicture) and not os.path.splitext(name)[1]:
            found.endings[""] += 1  # nothing ever said that it was one
        else:
            account.broken[name] = str(seen)
    if account.headers:
        return account
    if not account.broken:
        nothing = f"{shown(folder)} has no pictures in it, at any depth, of a kind that Pillow reads"
        raise UserError("; ".join([nothing, *found.passed_over()]))
    nothing = f"none of the {len(account.broken)} files in {shown(folder)} can be used: {account.unused()}"
    raise UserError("; ".join([nothing, *found.passed_over()]))


def _header(picture: Image.Image) -> Header:
    return Header(picture.size, is_grey(picture), has_several(picture))


def _native_size(headers: Mapping[str, Header]) -> int:
    (width, height), *others = {header.size for header in headers.values()}
    return width if not others and width == height and width in NATIVE_SIZES_PX else DEFAULT_SIZE_PX


@dataclass
class _Reader:
    """Decodes files; enters into the account which are broken, and which show the same as another."""

    folder: str
    size: int
    channels: int
    fit: str
    account: Account
    seen: dict[bytes, str] = field(default_factory=dict)

    def take(self, names: Sequence[str], wanted: int | None) -> tuple[np.ndarray, list[str]]:
        """The first `wanted` usable pictures (None: all), uint8 (n, channels, size, size), and their names."""
        wanted = len(names) if wanted is None else min(wanted, len(names))
        images = np.empty((wanted, self.channels, self.size, self.size), dtype=np.uint8)
        left, taken = iter(names), []
        while chunk := list(itertools.islice(left, min(CHUNK_FILES, wanted - len(taken)))):
            for name, image in zip(chunk, many(self._decode, chunk), strict=True):
                if image is not None and self._is_new(name, image):
                    images[len(taken)] = image
                    taken.append(name)
        return images[: len(taken)], taken

    def _decode(self, name: str) -> np.ndarray | None:
        try:
            return decode(os.path.join(self.folder, name), self.size, self.channels, self.fit)
        except BrokenPicture as error:
            self.account.broken[name] = str(error)
            return None

    def _is_new(self, name: str, image: np.ndarray) -> bool:
        digest = hashlib.sha256(image.tobytes()).digest()
        if digest in self.seen:
            self.account.copies[name] = self.seen[digest]
        return self.seen.setdefault(digest, name) == name
