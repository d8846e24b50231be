"""The classes of a folder's pictures: the first folders below it, where these are classes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evae.data.labels import UNLABELLED
from evae.data.names import listed, shown
from evae.data.own_splits import below_split, looks_like_a_split

PER_CLASS = 10
"""Pictures that a class has on average, at least: a tenth is for the test. Folders of fewer are people, days, shots."""


@dataclass(frozen=True)
class Classes:
    """The class of each picture that has one, by its name relative to the folder; `names` are those of the classes."""

    of: dict[str, int]
    names: tuple[str, ...]
    notes: tuple[str, ...]

    def labels(self, pictures: Sequence[str]) -> np.ndarray:
        """int64 (n,)."""
        return np.array([self.of.get(name, UNLABELLED) for name in pictures], dtype=np.int64)


def find_classes(pictures: Sequence[str]) -> Classes:
    """What the first folder below the data set's, or below that of a split, says of each picture.

    Pictures that lie in no such folder have no class. Nothing has one where there are fewer than two folders, where
    they hold fewer than `PER_CLASS` pictures on average, and where all of them have names of splits.
    """
    folder_of = {name: below_split(name).partition("/")[0] for name in pictures if "/" in below_split(name)}
    counts = Counter(folder_of.values())
    if len(counts) < 2 or all(map(looks_like_a_split, counts)):
        return Classes({}, (), ())
    if len(folder_of) < PER_CLASS * len(counts):
        hold = f"the {len(counts):,} folders hold {len(folder_of) / len(counts):.1f} pictures on average"
        return Classes({}, (), (f"no labels: {hold}, and those of classes at least {PER_CLASS}",))
    folders = sorted(counts)
    number = {folder: index for index, folder in enumerate(folders)}
    notes = []
    if loose := sorted(name for name in pictures if name not in folder_of):
        counted = f"{len(loose):,} picture{'s' if len(loose) > 1 else ''}"
        notes.append(f"without a label, as outside of the classes' folders: {counted} ({listed(loose)})")
    classes = {name: number[folder] for name, folder in folder_of.items()}
    return Classes(classes, tuple(map(shown, folders)), tuple(notes))
