"""`hf:NAME`: a data set of Hugging Face's hub, or one that lies in a folder, read by the library datasets."""

import io
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np

from evae.data.asked import asked
from evae.data.bare import File
from evae.data.base import DataRecipe, Raw, data_source
from evae.data.labels import UNLABELLED
from evae.data.names import listed, shown
from evae.data.own_splits import split
from evae.data.reading import take_splits
from evae.data.room import FITS
from evae.data.survey import form_of, survey
from evae.data.walk import Found
from evae.errors import UserError, unknown
from evae.home import expanded

KEYS = ("config", "image", "label")
HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
SAVED = ("dataset_dict.json", "state.json")
"""Files of which `save_to_disk` writes one into its folder."""


@data_source("hf", path=True, streams=True)
def read(recipe: DataRecipe, root: Path, fits: FITS) -> Raw:
    """The pictures of a data set: of the hub, OWNER/NAME (where there is no web, from the cache of an earlier
    download), or of a folder that `save_to_disk` wrote, or that holds files which datasets can read.

    Its splits train, validation and test are ours; where there is one alone, a hash of each row's number says. Behind
    NAME may stand ",image=COLUMN" and ",label=COLUMN" where there are several, and ",config=NAME" for one of the data
    set's parts. Pictures are decoded as those of a folder are, and what does not fit in memory stays in Arrow's files.

    Raises UserError where the library (extra `hf`), the data set or a column of images is missing; and as for a folder.
    """
    name, said = asked(recipe.path, KEYS)
    tables, revision = _tables(name, said.get("config"))
    image = _image_column(tables, said.get("image"), name)
    files = Rows(tuple(_undecoded(table, image) for table in tables.values()), image, _row_names(tables))
    found = Found(list(files.names))
    account = survey(files, found, shown(name), recipe)
    parts = split(list(account.headers))
    account.leave_out(parts.outside)
    form = form_of(recipe, account)
    taken = take_splits(recipe, parts, files, form, account, fits)
    labels, classes, notes = _labels(tables, said.get("label"), name)
    number = {row: place for place, row in enumerate(files.names)}
    return Raw(
        **taken.images,
        image_size=form.size,
        channels=form.channels,
        notes=(f"the column {shown(image)}, {revision}", *notes, *parts.notes, *account.notes(form.size, recipe.fit)),
        reasons=tuple(account.reasons()),
        labels={kind: labels[[number[row] for row in rows]] for kind, rows in taken.names.items()} if classes else {},
        classes=classes,
    )


@dataclass(frozen=True, eq=False)
class Rows:
    """Pictures of the rows of tables, one after the other, whose bytes stay in Arrow's files."""

    tables: Sequence[Any]
    column: str
    names: Sequence[str]

    def file(self, number: int) -> File:
        for table in self.tables:
            if number < len(table):
                return partial(_opened, table, number, self.column)
            number -= len(table)
        raise IndexError(number)


def _opened(table: Any, row: int, column: str) -> IO[bytes]:
    found = table[row][column]
    if found is None:
        raise OSError("a row without a picture")
    return open(found["path"], "rb") if found["bytes"] is None else io.BytesIO(found["bytes"])


def _row_names(tables: dict[str, Any]) -> tuple[str, ...]:
    return tuple(f"{kind}/{row:08}.row" for kind, table in tables.items() for row in range(len(table)))


def _tables(name: str, config: str | None) -> tuple[dict[str, Any], str]:
    """The table of each split, and what says which data these are."""
    try:
        import datasets
    except ImportError:
        raise UserError("hf: needs the library datasets: pip install 'evae[hf]'") from None
    folder = expanded(name)
    if not os.path.isdir(folder) and not HUB_NAME.fullmatch(name):
        raise UserError(
            f"there is no folder {shown(name)}: give one that save_to_disk wrote, or hf:OWNER/NAME of the hub"
        )
    try:
        if any(os.path.isfile(os.path.join(folder, file)) for file in SAVED):
            found = datasets.load_from_disk(folder)
            tables = found if isinstance(found, dict) else {"rows": found}
            return dict(tables), f"fingerprint {' '.join(table._fingerprint for table in tables.values())}"
        builder = datasets.load_dataset_builder(folder if os.path.isdir(folder) else name, config)
        builder.download_and_prepare()
        return dict(builder.as_dataset()), f"revision {builder.hash}"
    except Exception as error:  # of many kinds: no such name or config, no web, a file that is damaged
        why = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(
            f"{shown(name)} cannot be had by the library datasets ({shown(why)}): give hf:OWNER/NAME of the hub, or "
            "the folder that save_to_disk wrote"
        ) from None


def _image_column(tables: dict[str, Any], said: str | None, name: str) -> str:
    import datasets

    features = next(iter(tables.values())).features
    having = [column for column, feature in features.items() if isinstance(feature, datasets.Image)]
    if said is not None and said not in having:
        raise unknown(f"column of images in {shown(name)}", shown(said), having)
    if said is None and len(having) != 1:
        columns = f"{shown(name)} has {len(having) or 'no'} columns of images"
        if not having:
            raise UserError(f"{columns}, but {listed(list(features))}: cast one to datasets.Image()")
        raise UserError(f"{columns}: put ,image=COLUMN behind the name, with one of {listed(having)}")
    return said or having[0]


def _undecoded(table: Any, column: str) -> Any:
    import datasets

    return table.select_columns([column]).cast_column(column, datasets.Image(decode=False))


def _labels(tables: dict[str, Any], said: str | None, name: str) -> tuple[np.ndarray, tuple[str, ...], list[str]]:
    """The class of each row of all tables, int64 (n,), the classes' names, none where there are no labels, and why."""
    import datasets

    features = next(iter(tables.values())).features
    named = [column for column, feature in features.items() if isinstance(feature, datasets.ClassLabel)]
    numbered = [c for c, f in features.items() if getattr(f, "dtype", "").startswith(("int", "uint"))]
    none = np.empty(0, dtype=np.int64)
    if said is not None and said not in numbered:
        raise unknown(f"column of labels in {shown(name)}", shown(said), numbered)
    if said is None:
        candidates = named or [column for column in numbered if column == "label"]
        if len(candidates) != 1:
            note = f"no labels: {listed(named)} could be; put ,label=COLUMN behind the name"
            return none, (), [note] if named else []
        (said,) = candidates
    given = [[UNLABELLED if label is None else label for label in table[said]] for table in tables.values()]
    labels = np.array([label for some in given for label in some], dtype=np.int64)
    if said in named:
        return labels, tuple(map(shown, features[said].names)), []
    numbers, places = np.unique(labels, return_inverse=True)
    known = numbers[numbers >= 0]
    return np.where(labels < 0, UNLABELLED, places - (len(numbers) - len(known))), tuple(map(str, known)), []
