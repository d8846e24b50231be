"""`folder:PATH`: any folder of pictures, with its own split or one that stays when pictures are added."""

import os
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from evae.data.account import Account, Header
from evae.data.base import DataRecipe, Raw, data_source
from evae.data.classes import find_classes
from evae.data.files import Folder, Form
from evae.data.names import shown
from evae.data.own_splits import split
from evae.data.pictures import BrokenPicture, NotAPicture, has_several, is_grey, look_at, many
from evae.data.reading import take_splits
from evae.data.room import FITS
from evae.data.walk import walk
from evae.errors import UserError
from evae.home import expanded

DEFAULT_SIZE_PX = 64
NATIVE_SIZES_PX = (32, 64)  # kept when all pictures have it


@data_source("folder", path=True, streams=True)
def read(recipe: DataRecipe, root: Path, fits: FITS) -> Raw:
    """All pictures under the folder, at any depth, in the splits that `own_splits.split` makes of them.

    Linked folders are followed, hidden ones are not (`walk`). Everything that is not used is counted and named
    in the notes, and so are pictures of which a part is used only. Pictures that are equal pixel for pixel are
    taken once, so that no test image is trained on. Images that do not fit in memory stay in their files (`Stream`).
    Labels are what `find_classes` makes of the folders.

    Raises UserError for a folder that is missing or empty, has no usable picture in one of the splits, or pictures
    smaller than a tile.
    """
    folder = expanded(recipe.path)
    account = _survey(folder)
    parts = split(list(account.headers))
    account.leave_out(parts.outside)
    size = recipe.image_size or _native_size(account.headers)
    channels = recipe.channels or (1 if all(header.grey for header in account.headers.values()) else 3)
    files = Folder(folder, tuple(account.headers))
    classes = find_classes(files.names)
    taken = take_splits(recipe, parts, files, Form(size, channels, recipe.fit), account, fits)
    return Raw(
        **taken.images,
        image_size=size,
        channels=channels,
        notes=(*parts.notes, *classes.notes, *account.notes(size, recipe.fit)),
        reasons=tuple(account.reasons()),
        labels={name: classes.labels(names) for name, names in taken.names.items()},
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
