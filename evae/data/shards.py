"""`shards:PATTERN`: tar files of pictures, as the webdataset library writes them, read at any place."""

import functools
import glob
import io
import os
import re
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from evae.data.bare import File
from evae.data.base import DataRecipe, Raw, data_source
from evae.data.labels import UNLABELLED
from evae.data.names import listed, shown
from evae.data.own_splits import Split, split, split_of
from evae.data.reading import take_splits
from evae.data.room import FITS
from evae.data.survey import form_of, survey
from evae.data.walk import Found, endings
from evae.errors import UserError
from evae.home import expanded

BLOCK = bytes(512)
"""Of zeros, at the end of a tar file: one that was cut off lacks it."""
CLASS = ".cls"
BESIDE = frozenset([CLASS, ".txt", ".json"])
"""Endings of what stands beside a picture, under its name."""


@data_source("shards", path=True, streams=True)
def read(recipe: DataRecipe, root: Path, fits: FITS) -> Raw:
    """The pictures of all shards: a folder's *.tar, or those of a pattern such as /data/train-{000..146}.tar or
    /data/*.tar.

    A picture is a file whose ending Pillow reads; NAME.cls beside NAME.png holds its class, a whole number. Words in
    the shards' names (train, val, test), or folders of these names, say the splits, else a hash of each picture's name
    does (`own_splits.split`). As for a folder, images that do not fit in memory are read from the shards in training,
    in the same order as from memory.

    Raises UserError for shards that are missing, compressed, cut off, or without any picture; and as for a folder.
    """
    paths = _paths(expanded(recipe.path))
    found, labels = Found(), {}
    # Names are those within the shards' folder, so that splits and order are the same wherever that lies.
    home = os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in paths])
    index = [row for number, path in enumerate(paths) for row in _index(path, number, home, found, labels)]
    files = Shards(tuple(paths), tuple(found.files), np.array(index, dtype=np.int64).reshape(-1, 3))
    account = survey(files, found, shown(recipe.path), recipe)
    parts = _split(list(account.headers))
    account.leave_out(parts.outside)
    form = form_of(recipe, account)
    taken = take_splits(recipe, parts, files, form, account, fits)
    classes = {number: place for place, number in enumerate(sorted(set(labels.values())))}
    of = {key: classes[number] for key, number in labels.items()}
    return Raw(
        **taken.images,
        image_size=form.size,
        channels=form.channels,
        notes=(f"pictures of {len(paths):,} shards", *parts.notes, *account.notes(form.size, recipe.fit)),
        reasons=tuple(account.reasons()),
        labels={
            split: np.array([of.get(_key(name), UNLABELLED) for name in names], dtype=np.int64)
            for split, names in taken.names.items()
        },
        classes=tuple(map(str, classes)),
    )


@dataclass(frozen=True)
class Shards:
    """Pictures by their places: a row of `places` (n, 3) is the number of the shard's path, and where in it the
    picture's bytes begin and how many they are."""

    paths: Sequence[str]
    names: Sequence[str]
    places: np.ndarray

    def file(self, number: int) -> File:
        shard, start, size = map(int, self.places[number])
        return functools.partial(_open, self.paths[shard], start, size)


class _Part(io.RawIOBase):
    """Some bytes of a file, as a file."""

    def __init__(self, path: str, start: int, size: int):
        self.descriptor, self.start, self.size, self.at = os.open(path, os.O_RDONLY), start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self.at, os.SEEK_END: self.size}[whence]
        if at < 0:
            raise ValueError("before the beginning of the file")
        self.at = at
        return at

    def readinto(self, buffer: memoryview) -> int:
        wanted = max(0, min(len(buffer), self.size - self.at))
        content = os.pread(self.descriptor, wanted, self.start + self.at)
        buffer[: len(content)] = content
        self.at += len(content)
        return len(content)

    def close(self) -> None:
        if not self.closed:
            os.close(self.descriptor)
        super().close()


def _open(path: str, start: int, size: int) -> IO[bytes]:
    return io.BufferedReader(_Part(path, start, size))


def _paths(pattern: str) -> list[str]:
    if "://" in pattern or pattern.startswith("pipe:"):
        raise UserError(f"{shown(pattern)} is no file: fetch the shards first, and give shards:PATTERN of their paths")
    if os.path.isdir(pattern):
        pattern = os.path.join(glob.escape(pattern), "*.tar")
    each = (sorted(glob.glob(given)) if glob.has_magic(given) else [given] for given in _expanded(pattern))
    paths = [path for some in each for path in some]
    if missing := [path for path in paths if not os.path.isfile(path)]:
        raise UserError(f"{len(missing):,} of {len(paths):,} shards are missing: {listed(missing)}")
    if not paths:
        raise UserError(f"{shown(pattern)} names no shards: give the path of a folder of *.tar, or a pattern of paths")
    return paths


def _expanded(pattern: str) -> list[str]:
    """With {000..146} as each of these numbers."""
    if (found := re.search(r"\{(\d+)\.\.(\d+)\}", pattern)) is None:
        return [pattern]
    first, last = found.groups()
    numbers = [f"{number:0{len(first)}}" for number in range(int(first), int(last) + 1)]
    return [rest for n in numbers for rest in _expanded(pattern[: found.start()] + n + pattern[found.end() :])]


def _index(path: str, number: int, home: str, found: Found, labels: dict[str, int]) -> Iterator[tuple[int, int, int]]:
    """The places of a shard's pictures, whose names are entered among the `found`; their classes into `labels`."""
    shard, known = os.path.relpath(path, home), {}
    for name, start, size in _members(path):
        known[name] = (start, size)  # of several of one name, the last is meant
    pictures = 0
    for name, (start, size) in known.items():
        ending = os.path.splitext(name)[1].lower()
        if ending == CLASS:
            with _open(path, start, size) as file:
                text = file.read(32).strip()
            if text.isdigit():
                labels[_key(f"{shard}/{name}")] = int(text)
        elif ending and ending in endings():
            found.files.append(f"{shard}/{name}")
            pictures += 1
            yield number, start, size
        elif ending not in BESIDE:
            found.endings[ending] += 1
    if not pictures:
        kinds = listed(sorted({os.path.splitext(name)[1] or "no ending" for name in known})) or "nothing"
        raise UserError(f"the shard {shown(shard)} has no pictures in it, but {kinds}: leave it out of the pattern")


def _members(path: str) -> Iterator[tuple[str, int, int]]:
    """Name, first byte and size of each file in a tar file. Raises UserError where it cannot be read whole."""
    name = shown(path)
    try:
        with open(path, "rb") as file, tarfile.open(fileobj=file, mode="r:") as archive:
            yield from ((entry.name, entry.offset_data, entry.size) for entry in archive if entry.isreg())
            file.seek(archive.offset)
            whole = file.read(len(BLOCK)) == BLOCK
    except OSError as error:
        raise UserError(f"the shard {name} cannot be read: {error.strerror}") from error
    except tarfile.TarError as error:
        if "end of data" not in str(error):
            raise UserError(
                f"the shard {name} is no tar file, or a compressed one: unpack it to a plain one, which can be read at "
                "any place"
            ) from error
        whole = False
    if not whole:
        raise UserError(f"the shard {name} is cut off after {os.path.getsize(path):,} bytes: fetch it again")


def _key(name: str) -> str:
    """What the files of one sample have in common: the name up to the first dot."""
    folder, _, file = name.rpartition("/")
    return f"{folder}/{file.partition('.')[0]}"


def _split(names: Sequence[str]) -> Split:
    """As their folders say, or as if a shard with a split's word in its name lay in a folder of that."""
    said = {}
    for name in names:
        kind = split_of(name.partition(".tar/")[0].rpartition("/")[2])
        said[f"{kind}/{name}" if kind else name] = name
    parts = split(list(said))
    lists = {part: [said[name] for name in getattr(parts, part)] for part in ("train", "test", "outside")}
    validation = None if parts.validation is None else [said[name] for name in parts.validation]
    return Split(**lists, validation=validation, notes=parts.notes)
