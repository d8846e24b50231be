"""Many small files of a kind as a few: tables whose rows name the small file that each was in.

    <results>/<kind>/<FOLDER>/<generation>-<id>.parquet    rows of many keys, sorted by key; never changed
    <results>/<kind>/<FOLDER>/_<generation>-<id>.json      the keys in it, to be named where it is damaged

Of a key that is in several places the newest is read: its own small file, else the compacted file of the highest
generation. So whatever is there beside each other while `evae.results.compaction` is at work, or after it was killed,
is read once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

FOLDER = "compacted-by-a-newer-evae.parquet"
"""Versions that know nothing of it take it for a damaged file and say this name, instead of taking what is in it for
not there."""
KEY = "compacted_from"
"""The column of the keys."""
LISTED = 5
"""How many keys a message names."""


@dataclass(frozen=True)
class Part:
    """A file of a kind by its name below the results, and its table, or why that cannot be used. `key` is that of a
    small file; a compacted one has its keys in the column `KEY`."""

    name: str
    table: pa.Table | str
    key: str | None = None

    def keyed(self) -> pa.Table:
        """The table with its keys."""
        if self.key is None:
            return self.table
        return self.table.append_column(KEY, pa.repeat(pa.scalar(self.key), self.table.num_rows))

    def without(self, others: pa.Array) -> Part:
        """Without the rows of these keys."""
        if isinstance(self.table, str):
            return self
        return Part(self.name, self.table.filter(pc.invert(pc.is_in(self.table.column(KEY), value_set=others))))


def newest(small: Sequence[Part], compacted: Iterable[Part]) -> list[Part]:
    """The parts of a kind, each key once; `compacted` from the oldest on."""
    known, kept = pa.array([part.key for part in small], pa.string()), []
    for part in reversed(list(compacted)):
        kept.append(part.without(known))
        if not isinstance(part.table, str):
            known = pa.concat_arrays([known, keys(part.table)])
    return [*small, *reversed(kept)]


def keys(table: pa.Table) -> pa.Array:
    """The keys of a compacted table, each once."""
    return pc.unique(table.column(KEY))


def groups(footer: pq.FileMetaData, key: str) -> list[int]:
    """The row groups of a compacted file in which a key may be."""
    names, found = footer.schema.names, []
    for index in range(footer.num_row_groups):
        known = footer.row_group(index).column(names.index(KEY)).statistics if KEY in names else None
        told = known is not None and known.has_min_max and isinstance(known.min, str)
        if not told or known.min <= key <= known.max:
            found.append(index)
    return found


def fault(table: pa.Table, column: str | None) -> str | None:
    """Why a compacted table cannot be used, if so; `column` is the one that a key repeats."""
    if KEY not in table.column_names or table.schema.field(KEY).type != pa.string() or table.column(KEY).null_count:
        return "it does not say what its rows were"
    if column is None or not table.num_rows:
        return None
    if column not in table.column_names or table.schema.field(column).type != pa.string():
        return f"it does not say which {column} its rows are of"
    same = pc.fill_null(pc.equal(table.column(column), table.column(KEY)), False)
    return None if pc.all(same).as_py() else f"it has rows that are not the {column} of their name"


def sidecar(name: str) -> str:
    """The name of the file that lists the keys of a compacted file."""
    return f"_{name.removesuffix('.parquet')}.json"


def lost(listing: bytes | None) -> str:
    """In words, what a compacted file holds by the content of its sidecar."""
    try:
        found: Any = json.loads(listing or b"null")
    except ValueError:
        found = None
    if not isinstance(found, list) or not found:
        return "it holds many, and which is not known"
    return f"it holds {len(found)}: {', '.join(map(str, found[:LISTED]))}{', ...' if found[LISTED:] else ''}"
