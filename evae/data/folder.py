"""`folder:PATH`: any folder of pictures, with a split that stays when pictures are added."""

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from evae.data.base import VALIDATION_IMAGES, DataRecipe, Raw, data_source
from evae.data.pictures import BrokenPicture, decode, is_grey, many, open_picture
from evae.errors import UserError

ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif"})
TEST_EVERY = 10
DEFAULT_SIZE_PX = 64
NATIVE_SIZES_PX = (32, 64)  # kept when all pictures have it
NAMES_SHOWN = 20
CHUNK_FILES = 256


@data_source("folder", path=True)
def read(recipe: DataRecipe, root: Path) -> Raw:
    """All pictures under the folder, at any depth; unusable ones are left out and named in the notes.

    Each file's split follows from a hash of its name relative to the folder: a tenth is for the test, and the
    order of the hashes decides which of the others are for validation. So adding a file moves (almost) none
    of the others. Pictures that are equal pixel for pixel are taken once, so that no test image is trained
    on. Only as many files are decoded as the recipe's caps ask for.

    Raises UserError for a folder that is missing or empty, or has no usable picture in one of the splits.
    """
    folder = Path(recipe.path).expanduser()
    survey = _survey(folder)
    size = recipe.image_size or _native_size(survey.sizes)
    channels = recipe.channels or (1 if all(survey.grey) else 3)
    reader = _Reader(folder, size, channels, recipe.fit, survey.skipped)
    ranks = {path: int.from_bytes(hashlib.sha256(path.as_posix().encode()).digest()) for path in survey.paths}
    files = sorted(survey.paths, key=ranks.__getitem__)
    cap = recipe.train_images
    wanted = None if cap is None else cap + (recipe.validation_images or VALIDATION_IMAGES)
    test = reader.take([path for path in files if ranks[path] % TEST_EVERY == 0], recipe.test_images)
    train = reader.take([path for path in files if ranks[path] % TEST_EVERY], wanted)
    if not len(test) or len(train) < 2:
        raise UserError(
            f"{folder} has too few pictures: {len(train)} for training and {len(test)} for the test, which "
            "takes a tenth; give at least a few dozen"
        )
    return Raw(train=train, test=test, image_size=size, channels=channels, notes=_notes(survey, reader, size, recipe))


@dataclass
class _Survey:
    """What the files' headers say."""

    paths: list[Path] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    grey: list[bool] = field(default_factory=list)
    skipped: dict[Path, str] = field(default_factory=dict)


def _survey(folder: Path) -> _Survey:
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder: give folder:PATH, the path of a folder of pictures")
    files = (path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS and path.is_file())
    found = sorted(path.relative_to(folder) for path in files)
    if not found:
        raise UserError(f"{folder} has no pictures in it ({' '.join(sorted(ENDINGS))}), at any depth")
    survey = _Survey()

    def probe(path: Path) -> tuple[tuple[int, int], bool] | BrokenPicture:
        try:
            with open_picture(folder / path) as picture:
                return picture.size, is_grey(picture)
        except BrokenPicture as error:
            return error

    for path, seen in zip(found, many(probe, found), strict=True):
        if isinstance(seen, BrokenPicture):
            survey.skipped[path] = str(seen)
        else:
            survey.paths.append(path)
            survey.sizes.append(seen[0])
            survey.grey.append(seen[1])
    if not survey.paths:
        raise UserError(f"none of the {len(found)} files in {folder} can be used: {_named(survey.skipped)}")
    return survey


def _native_size(sizes: list[tuple[int, int]]) -> int:
    (width, height), *others = set(sizes)
    return width if not others and width == height and width in NATIVE_SIZES_PX else DEFAULT_SIZE_PX


@dataclass
class _Reader:
    """Decodes files; remembers which were broken, and what it has seen."""

    folder: Path
    size: int
    channels: int
    fit: str
    skipped: dict[Path, str]
    seen: dict[bytes, Path] = field(default_factory=dict)

    def take(self, paths: Sequence[Path], wanted: int | None) -> np.ndarray:
        """The first `wanted` usable pictures (None: all), uint8 (n, channels, size, size)."""
        wanted = len(paths) if wanted is None else min(wanted, len(paths))
        images = np.empty((wanted, self.channels, self.size, self.size), dtype=np.uint8)
        left, taken = iter(paths), 0
        while chunk := list(itertools.islice(left, min(CHUNK_FILES, wanted - taken))):
            for path, image in zip(chunk, many(self._decode, chunk), strict=True):
                if image is not None and self._is_new(path, image):
                    images[taken] = image
                    taken += 1
        return images[:taken]

    def _decode(self, path: Path) -> np.ndarray | None:
        try:
            return decode(self.folder / path, self.size, self.channels, self.fit)
        except BrokenPicture as error:
            self.skipped[path] = str(error)
            return None

    def _is_new(self, path: Path, image: np.ndarray) -> bool:
        digest = hashlib.sha256(image.tobytes()).digest()
        if digest in self.seen:
            self.skipped[path] = f"same pixels as {self.seen[digest]}"
        return self.seen.setdefault(digest, path) == path


def _notes(survey: _Survey, reader: _Reader, size: int, recipe: DataRecipe) -> tuple[str, ...]:
    notes = [f"split by a hash of each file's name: one in {TEST_EVERY} is for the test"]
    kinds = set(survey.sizes)
    if kinds != {(size, size)}:
        how = "centre crop, then resize" if recipe.fit == "resize" else "zeros around, shrunk where too large"
        widths, heights = zip(*kinds, strict=True)
        extent = f"{min(widths)}-{max(widths)} x {min(heights)}-{max(heights)} px"
        notes.append(f"{len(kinds)} sizes of picture, {extent}: {how}")
    if reader.skipped:
        notes.append(f"{len(reader.skipped)} files left out: {_named(reader.skipped)}")
    return tuple(notes)


def _named(skipped: dict[Path, str]) -> str:
    named = [f"{path} ({why})" for path, why in sorted(skipped.items())]
    more = len(named) - NAMES_SHOWN
    return "; ".join(named[:NAMES_SHOWN]) + (f"; and {more} more" if more > 0 else "")
