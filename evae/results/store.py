"""The results of a study as Parquet: the one source of truth for resuming and for reports.

Append-only and idempotent: one file per trial and kind, written beside its final name and renamed into place, so a
reader never sees half a file, and a retry of a trial replaces its rows instead of duplicating them.

    <results>/study/<session>.parquet     one row per session: the manifest
    <results>/trials/<trial>.parquet      one row per trial, also while it runs
    <results>/epochs/<trial>.parquet      one row per epoch
    <results>/images/<trial>.parquet      one row per picture (PNG bytes)
    <results>/clouds/<trial>.parquet      one row per cloud of points, or density on a grid, of a model of points
    <results>/measures/<trial>.parquet    what was measured of a finished trial afterwards
    <results>/weights/<trial>.safetensors     a finished trial's model
    <results>/states/<trial>.safetensors      how a finished trial's training ended, if asked for
    <results>/checkpoints/<trial>.safetensors an interrupted trial, until it is finished

Once they are many, the small files of a kind become a few (`evae.results.compaction`), and are read the same.

Any file system of pyarrow serves: a local folder, `s3://bucket/path`, `gs://bucket/path`. Needs neither torch nor Ray.
"""

import contextlib
import json
import math
import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs

from evae.errors import UserError
from evae.results import compacted, measures, places
from evae.results.compacted import FOLDER, KEY, Part
from evae.results.parts import SUFFIX, Parts

SCHEMA_VERSION = 2
"""Raised where an earlier version would misread what this one writes. 2: small files may be compacted, and versions
before say of those that they cannot be read."""
SCHEMAS = (1, 2)
"""Those that are read. A study of a later one is refused."""
KINDS = ("study", "trials", "epochs", "images", "clouds", measures.KIND)

REMEDIES = {
    "study": "Restore it from a copy, remove it where another session's file lies beside it, or give this study a "
    "--name of its own.",
    "trials": "Restore it from a copy, or remove it, and the files of its name in the other folders, to train that "
    "trial anew.",
    "epochs": "Restore it from a copy, or remove it to go on without that trial's curve.",
    "checkpoints": "Restore it from a copy, or remove it to train that trial from its beginning.",
    "states": "Restore it from a copy, or remove it to train that trial from its beginning.",
    "clouds": "Restore it from a copy, or remove it to go on without that trial's drawings.",
    "images": "Restore it from a copy, or remove it to go on without that trial's pictures.",
    "measures": "Restore it from a copy, or remove it and measure that trial again.",
}
"""What can be done about a file of each kind that is damaged."""
OF_COMPACTED_TRIALS = (
    "Restore it from a copy. Where there is none, remove it, and give this study a --name of its own: with --pool it "
    "takes from here what is whole."
)
NAMED_AFTER = {"study": "session", "trials": "trial", "measures": "trial"}
"""The column that a file's name repeats: what is called otherwise is a copy that somebody made."""
NAMED = 5
"""How many damaged files a message names."""


class StoreError(UserError):
    """The results cannot be used now: the disk is full, the network away, a permission missing, a file damaged."""


class Unreachable(StoreError):
    """Results could not be read: a server that is away, a folder that may not be looked into."""


REACHING = {
    "read": (Unreachable, "Mend its permissions or the way to it, or name another place."),
    "write": (StoreError, "Free some space or mend its permissions, or choose another place with --results."),
}
"""The error of a place that cannot be read or written, and what can be done about it."""


class Store:
    """A study's results folder, by path or by any URI that pyarrow knows."""

    def __init__(self, location: str | os.PathLike[str]):
        self.filesystem, self.root = places.opened(os.fspath(location))
        self.location = places.shown(os.fspath(location))
        """Where it is, to be read by people: without the keys of a URI, which only the file system keeps."""
        self.unreadable: list[str] = []
        self.closed: str | None = None
        """Why this process may write no more, once another one has taken the results over."""
        self._footers: dict[str, pq.FileMetaData] = {}

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_footers": {}}

    def __repr__(self) -> str:
        return f"Store({self.location!r})"

    @property
    def is_local(self) -> bool:
        return isinstance(self.filesystem, fs.LocalFileSystem)

    @property
    def parts(self) -> Parts:
        return Parts(self.filesystem, self.root, NAMED_AFTER, self._footers)

    def path(self, *parts: str) -> str:
        """The path of something inside the results, in the store's own file system."""
        return self.parts.path(*parts)

    def prepare(self) -> None:
        """Make the folders and prove that a file can be written and renamed; raises StoreError if not."""
        with self.reaching("write"):
            for kind in KINDS:
                self.filesystem.create_dir(self.path(kind), recursive=True)
            self._write(self.path("study", ".probe"), pa.table({"probe": [1]}))
            self.filesystem.delete_file(self.path("study", ".probe"))

    def write(self, kind: str, key: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Replace the file of `key` by `rows`. Dicts and lists of mixed type must be JSON text already.

        Raises StoreError when it cannot be written: the earlier file is then still there.
        """
        rows = [dict(row) for row in rows]
        # Left to itself, pyarrow takes the columns of the first row alone.
        names = dict.fromkeys(name for row in rows for name in row)
        table = pa.table({name: [row.get(name) for row in rows] for name in names})
        with self.reaching("write"):
            self._write(self.path(kind, f"{key}.parquet"), table)

    def write_compacted(self, kind: str, name: str, table: pa.Table, group: int) -> None:
        """Put a file of rows of many keys, by their column `KEY` and in its order, `group` rows being read at once.

        Raises StoreError when it cannot be written.
        """
        folder = f"{kind}/{FOLDER}"
        keys = json.dumps(compacted.keys(table).to_pylist()).encode()
        self.write_bytes(folder, compacted.sidecar(name), keys)
        with self.reaching("write"):
            self._write(self.path(folder, name), table, write_statistics=[KEY], row_group_size=group)
            if self.is_local:
                # What it holds is deleted next, and must not be gone from the disk before this is on it.
                place = os.open(self.path(folder), os.O_RDONLY)
                os.fsync(place)
                os.close(place)

    def read(self, kind: str) -> pa.Table:
        """All rows of a kind that can be read, for a report; a column that a file lacks is null there. Trials have what
        was measured of them afterwards.

        A column whose types do not go together (numbers in one file, text in another) is read as text.
        Files that cannot be read are left out and named in `unreadable`. Empty when there is nothing.
        """
        with self.reaching("read"):
            parts = self.parts.of(kind)
        unreadable = [part for part in parts if isinstance(part.table, str)]
        self.unreadable = [name for name in self.unreadable if not name.startswith(f"{kind}/")]
        self.unreadable += [p.name if p.key is not None else f"{p.name} ({p.table})" for p in unreadable]
        table = _joined([part for part in parts if not isinstance(part.table, str)])
        return measures.merged(table, self.read(measures.KIND)) if kind == "trials" else table

    def columns(self, kind: str, names: Sequence[str]) -> pa.Table:
        """These columns of a kind's rows, as far as there are any, in no order, without what was measured of trials
        afterwards: of compacted files in a moment. Raises StoreError as `rows` does."""
        table, why = self.usable(kind, names)
        if why:
            raise self.damaged(kind, why)
        return table

    def usable(self, kind: str, names: Sequence[str]) -> tuple[pa.Table, dict[str, str]]:
        """`columns` of the files that can be used; and by their names below the results why others cannot."""
        with self.reaching("read"):
            parts = self.parts.of(kind, [*dict.fromkeys([*names, *filter(None, [NAMED_AFTER.get(kind)])])])
        why = {part.name: reason for part in parts if (reason := fault(kind, part))}
        table = _concatenated([part.table for part in parts if part.name not in why])
        return table.select([name for name in names if name in table.column_names]), why

    def rows(self, kind: str, key: str | None = None) -> list[dict[str, Any]]:
        """The rows of one trial, or of all, for what goes on from them; empty when there are none.

        A column that a file lacks is None there; each file's values have the types that they have in that file.
        Raises StoreError, which names the files, where one is there but cannot be read, has no rows, or those of
        another: it is not to be taken for one that is not there, and overwritten.
        """
        with self.reaching("read"):
            parts = self.parts.of(kind) if key is None else self.parts.of_key(kind, key)
        self._check(kind, parts)
        found = [(part.key, row) for part in parts for row in part.table.to_pylist()]
        # Python's sort leaves the rows of one key in their order.
        found.sort(key=lambda pair: pair[1][KEY] if pair[0] is None else pair[0])
        names = dict.fromkeys(name for part in parts for name in part.table.column_names)
        names.pop(KEY, None)
        return [{name: row.get(name) for name in names} for _, row in found]

    def _check(self, kind: str, parts: Iterable[Part]) -> None:
        """Raise StoreError for those that cannot be used."""
        why = {part.name: reason for part in parts if (reason := fault(kind, part))}
        if why:
            raise self.damaged(kind, why)

    def damaged(self, kind: str, why: Mapping[str, str]) -> StoreError:
        """The error for files of a kind that are there and cannot be used, by their names below the results."""
        named = [f"{name} ({reason})" for name, reason in list(why.items())[:NAMED]]
        more = f", and {len(why) - NAMED} more" if len(why) > NAMED else ""
        many = kind == "trials" and any(f"/{FOLDER}/" in name for name in why)
        remedy = OF_COMPACTED_TRIALS if many else REMEDIES[kind]
        return StoreError(f"{self.location} holds results that cannot be read: {', '.join(named)}{more}. {remedy}")

    def sizes(self, folder: str, suffix: str = SUFFIX) -> dict[str, int]:
        """Bytes of the file of each key; of a compacted one an equal share for each of its keys."""
        small = {info.base_name.removesuffix(suffix): info.size for info in self.files(folder, suffix)}
        if suffix != SUFFIX:
            return small
        with self.reaching("read"):
            return self.parts.sizes(folder) | small

    def write_bytes(self, folder: str, name: str, data: bytes) -> None:
        """Put a file (weights, a checkpoint) beside the tables, as atomically as the tables.

        Raises StoreError when it cannot be written: the earlier file is then still there.
        """
        with self.reaching("write"):
            self.filesystem.create_dir(self.path(folder), recursive=True)
            self._put(self.path(folder, name), lambda sink: sink.write(data))

    def read_bytes(self, folder: str, name: str, count: int | None = None) -> bytes | None:
        """The content of such a file, or its first `count` bytes; None when there is none. Raises StoreError when it
        cannot be read."""
        path = self.path(folder, name)
        with self.reaching("read"):
            if self.filesystem.get_file_info(path).type == fs.FileType.NotFound:
                return None
            with self.filesystem.open_input_file(path) as source:
                return source.read(count)

    def written_at(self, folder: str, name: str) -> float:
        """When such a file was written, in seconds by the store's own clock; infinitely early where there is none."""
        with self.reaching("read"):
            info = self.filesystem.get_file_info(self.path(folder, name))
        return -math.inf if info.mtime_ns is None else info.mtime_ns / 1e9

    def delete_bytes(self, folder: str, name: str) -> None:
        """Remove such a file where there is one. Raises StoreError when that cannot be done."""
        path = self.path(folder, name)
        with self.reaching("write"):
            if self.filesystem.get_file_info(path).type != fs.FileType.NotFound:
                self.filesystem.delete_file(path)

    @contextlib.contextmanager
    def reaching(self, what: str) -> Iterator[None]:
        """Raise StoreError for whatever goes wrong inside; `what` is "read" or "write"."""
        if what == "write" and self.closed:
            raise StoreError(self.closed)
        try:
            yield
        except (OSError, pa.ArrowException) as error:
            why = places.redacted(str(error)).rstrip(".")
            place = f"{'from' if what == 'read' else 'to'} {self.location!r}"
            kind, remedy = REACHING[what]
            raise kind(f"cannot {what} results {place}: {why}. {remedy}") from None

    def files(self, folder: str, suffix: str = SUFFIX) -> list[fs.FileInfo]:
        """The complete files of a folder, by key, without compacted ones."""
        with self.reaching("read"):
            return self.parts.files(folder, suffix)

    def compacted(self, kind: str) -> list[fs.FileInfo]:
        """The compacted files of a kind, the oldest first."""
        with self.reaching("read"):
            return self.parts.compacted(kind)

    def _write(self, path: str, table: pa.Table, **options: Any) -> None:
        # Dictionaries and statistics of single rows double a file and the time to read it.
        given = {"compression": "zstd", "use_dictionary": False, "write_statistics": False} | options
        self._put(path, lambda sink: pq.write_table(table, sink, write_page_checksum=True, **given))

    def _put(self, path: str, fill: Callable[[Any], Any]) -> None:
        """An object store shows an object only once it is complete; a folder needs the rename."""
        if not self.is_local:
            # Filled first: what goes wrong meanwhile would close the stream, and show half an object.
            buffer = pa.BufferOutputStream()
            fill(buffer)
            with self.filesystem.open_output_stream(path) as sink:
                sink.write(buffer.getvalue())
            return
        temporary = f"{path}.{uuid.uuid4().hex}.part"
        try:
            with open(temporary, "wb") as sink:
                fill(sink)
                sink.flush()
                os.fsync(sink.fileno())
            os.replace(temporary, path)
        except BaseException:
            if os.path.exists(temporary):
                os.unlink(temporary)
            raise


def fault(kind: str, part: Part) -> str | None:
    """Why a part cannot be used, if so."""
    table, column = part.table, NAMED_AFTER.get(kind)
    if isinstance(table, str):
        return table
    if part.key is None:
        return None
    if not table.num_rows:
        return "it has no rows"
    if column is not None:
        names = table.column(column).unique().to_pylist() if column in table.column_names else []
        if names != [part.key]:
            return f"it is not the {column} of its name"
    if kind == "study" and "schema_version" in table.column_names:
        version = table.column("schema_version")[0].as_py()
        if isinstance(version, int) and version > SCHEMA_VERSION:
            return f"it is of schema {version}, and this version of evae knows {SCHEMA_VERSION}: take a newer one"
    return None


def _joined(parts: Sequence[Part]) -> pa.Table:
    """The rows of all parts by key."""
    if all(part.key is not None for part in parts):
        return _concatenated([part.table for part in parts])
    table = _concatenated([part.keyed() for part in parts])
    if len(parts) > 1:
        table = table.take(pc.sort_indices(table, sort_keys=[(KEY, "ascending")]))
    return table.drop_columns([KEY])


def _concatenated(tables: Sequence[pa.Table]) -> pa.Table:
    """The rows of all tables; columns that are null in one and of a type in another take that type."""
    if not tables:
        return pa.table({})
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        clashing = _clashing([table.schema for table in tables])
        as_text = [_as_text(table, clashing & set(table.column_names)) for table in tables]
        return pa.concat_tables(as_text, promote_options="permissive")


def _clashing(schemas: Sequence[pa.Schema]) -> set[str]:
    """The columns whose types have nothing in common."""
    fields: dict[str, list[pa.Field]] = {}
    for schema in schemas:
        for item in schema:
            fields.setdefault(item.name, []).append(item)
    found = set()
    for name, variants in fields.items():
        try:
            pa.unify_schemas([pa.schema([item]) for item in variants], promote_options="permissive")
        except (pa.ArrowTypeError, pa.ArrowInvalid):
            found.add(name)
    return found


def _as_text(table: pa.Table, names: Iterable[str]) -> pa.Table:
    for name in names:
        values = table.column(name).to_pylist()
        text = [None if value is None else _text(value) for value in values]
        table = table.set_column(table.column_names.index(name), name, pa.array(text, pa.string()))
    return table


def _text(value: Any) -> str:
    """Numbers, lists and the like as JSON; text, and what JSON has no form for (timestamps), as it is."""
    return to_json(value) if isinstance(value, bool | int | float | list | dict) else str(value)


def to_json(value: Any) -> str:
    """JSON text with sorted keys, so that equal values give equal text."""
    return json.dumps(value, sort_keys=True, default=str)
