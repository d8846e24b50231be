"""Which pictures of a folder are for training, validation and test: as its folders say, or by the files' names."""

import functools
import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from evae.data.names import listed

TEST_EVERY = 10
# A folder of this name, as in train/, Validation/, test_images/, val2017/ or trainA/, is a split of the data set's own.
_KINDS = {"train": "train|training", "validation": "val|valid|validation|dev", "test": "test|testing"}
_OWN = {
    k: re.compile(rf"({names})([-_ ]?(set|data|images|\d{{4}}|[ab]))?", re.IGNORECASE) for k, names in _KINDS.items()
}
_ALIKE = re.compile(rf"(?<![a-z])({'|'.join(_KINDS.values())})(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True)
class Split:
    """Names in the order in which they are taken. Where `validation` is None, it is cut from `train`.

    `outside` are the names that belong to no split, and `notes` say how it was made.
    """

    train: list[str]
    test: list[str]
    validation: list[str] | None
    outside: list[str]
    notes: tuple[str, ...]


def split(names: Sequence[str]) -> Split:
    """The split of files by their names relative to the data set's folder.

    Where pictures lie below a folder called train and below one called test or val (at any depth, with what
    `_KINDS` lists for them), the outermost such folder names a picture's split, and pictures outside of them
    are in none: they may be copies of others. A test that is missing is a tenth of the training files, a
    validation that is missing is cut from them later.

    Otherwise a hash of each name decides: a tenth is for the test, and the order of the hashes decides which
    of the others are for validation. So adding a file moves (almost) none of the others.
    """
    # The bytes of a name are the same on every machine, whatever its locale makes of them.
    ranks = {name: int.from_bytes(hashlib.sha256(os.fsencode(name)).digest()) for name in names}
    in_order = sorted(ranks, key=ranks.__getitem__)
    files: dict[str | None, list[str]] = {None: [], "train": [], "validation": [], "test": []}
    folders: dict[str, dict[str, int]] = {kind: {} for kind in _KINDS}
    for name in in_order:
        kind, folder = _own(name.rpartition("/")[0])
        files[kind].append(name)
        if kind is not None:
            folders[kind][folder] = folders[kind].get(folder, 0) + 1
    if not files["train"] or not (files["validation"] or files["test"]):
        note = f"split by a hash of each file's name: one in {TEST_EVERY} is for the test"
        train, test = _tenth(in_order, ranks)
        return Split(train, test, None, [], (note, *_alike(names)))
    train, test, validation = files["train"], files["test"], files["validation"]
    said = [f"train from {_counted(folders['train'])}"]
    said += [f"{kind} from {_counted(folders[kind])}" for kind in ("validation", "test") if files[kind]]
    if not validation:
        said.append("validation from the training files by a hash of their names")
    if not test:
        train, test = _tenth(train, ranks)
        said.append(f"test: one in {TEST_EVERY} of the training files by a hash of their names")
    note = f"the data set's own split: {', '.join(said)}"
    return Split(train, test, validation or None, files[None], (note,))


def _tenth(names: list[str], ranks: dict[str, int]) -> tuple[list[str], list[str]]:
    """The names without their test, and the test."""
    return [n for n in names if ranks[n] % TEST_EVERY], [n for n in names if ranks[n] % TEST_EVERY == 0]


def split_of(text: str) -> str | None:
    """The split whose word stands in a text, as in "faces-train-0001": train, validation or test; None where there is
    none, or more than one."""
    kinds = {kind for kind, words in _KINDS.items() if re.search(rf"(?<![a-z])({words})(?![a-z])", text, re.IGNORECASE)}
    return kinds.pop() if len(kinds) == 1 else None


def below_split(name: str) -> str:
    """The part of a name below the folder of a split; all of it where it lies in none."""
    return name.removeprefix(_own(name.rpartition("/")[0])[1])


def looks_like_a_split(folder: str) -> bool:
    """Whether a folder's name has the word for a split in it."""
    return _ALIKE.search(folder) is not None


@functools.lru_cache(maxsize=1024)
def _own(folder: str) -> tuple[str | None, str]:
    """The split that a folder belongs to, and the folder that says so."""
    parts = folder.split("/")
    for depth, part in enumerate(parts, 1):
        for kind, pattern in _OWN.items():
            if pattern.fullmatch(part):
                return kind, "/".join(parts[:depth]) + "/"
    return None, ""


def _counted(folders: dict[str, int]) -> str:
    return f"{listed(sorted(folders))} ({sum(folders.values()):,} files)"


def _alike(names: Sequence[str]) -> list[str]:
    """A word on folders whose names look like splits, where none is honoured."""
    alike = set()
    for folder in {name.rpartition("/")[0] for name in names}:
        parts = folder.split("/")
        alike |= {"/".join(parts[: i + 1]) + "/" for i, part in enumerate(parts) if looks_like_a_split(part)}
    if not alike:
        return []
    needed = "for that, pictures in a folder train and in a folder test or val are needed"
    return [f"not taken for splits: {listed(sorted(alike))}; {needed}"]
