"""`folder:PATH`: any folder of pictures, with its own split or one that stays when pictures are added."""

import os
from pathlib import Path

from evae.data.base import DataRecipe, Raw, data_source
from evae.data.classes import find_classes
from evae.data.files import Folder
from evae.data.names import shown
from evae.data.own_splits import split
from evae.data.reading import take_splits
from evae.data.room import FITS
from evae.data.survey import form_of, survey
from evae.data.walk import Found, walk
from evae.errors import UserError
from evae.home import expanded


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
    found = found_in(folder, "folder")
    files = Folder(folder, tuple(found.files))
    account = survey(files, found, shown(folder), recipe)
    parts = split(list(account.headers))
    account.leave_out(parts.outside)
    form = form_of(recipe, account)
    classes = find_classes(list(account.headers))
    taken = take_splits(recipe, parts, files, form, account, fits)
    return Raw(
        **taken.images,
        image_size=form.size,
        channels=form.channels,
        notes=(*parts.notes, *classes.notes, *account.notes(form.size, recipe.fit)),
        reasons=tuple(account.reasons()),
        labels={name: classes.labels(names) for name, names in taken.names.items()},
        classes=classes.names,
    )


def found_in(folder: str, source: str) -> Found:
    """What is below the folder of a source of this name; raises UserError where it cannot be listed."""
    if not os.path.isdir(folder):
        raise UserError(f"{shown(folder)} is not a folder: give {source}:PATH, the path of a folder of pictures")
    try:
        return walk(folder)
    except OSError as error:
        raise UserError(f"{shown(folder)} cannot be listed: {error.strerror}") from error
