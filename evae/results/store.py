"""The results of a study as Parquet: the one source of truth for resuming and for reports.

Append-only and idempotent: one file per trial and kind, written beside its final name and renamed into place, so a
reader never sees half a file, and a retry of a trial replaces its rows instead of duplicating them.

    <results>/study/<session>.parquet     one row per session: the manifest
    <results>/trials/<trial>.parquet      one row per trial, also while it runs
    <results>/epochs/<trial>.parquet      one row per epoch
    <results>/images/<trial>.parquet      one row per picture (PNG bytes)
    <results>/weights/<trial>.safetensors     a finished trial's model
    <results>/checkpoints/<trial>.safetensors an interrupted trial, until it is finished

Any file system of pyarrow serves: a local folder, `s3://bucket/path`, `gs://bucket/path`. Needs neither torch nor Ray.
"""

import contextlib
import json
import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from evae.errors import UserError

SCHEMA_VERSION = 1
KINDS = ("study", "trials", "epochs", "images")
READERS = 4
"""Threads that read a kind's many small files: most of the time is waiting and decoding outside of Python."""


class StoreError(UserError):
    """The results cannot be reached now: the disk is full, the network away, a permission missing."""


class Store:
    """A study's results folder, by path or by any URI that pyarrow knows."""

    def __init__(self, location: str | os.PathLike[str]):
        self.location = str(location)
        self.unreadable: list[str] = []
        try:
            if "://" in self.location:
                self.filesystem, self.root = fs.FileSystem.from_uri(self.location)
            else:
                self.filesystem, self.root = fs.LocalFileSystem(), os.path.abspath(self.location)
        except (pa.ArrowException, ValueError, OSError) as error:
            raise UserError(
                f"cannot open the results at {self.location!r}: {error}. "
                "Give a folder, or a URI such as s3://bucket/path or gs://bucket/path."
            ) from None

    @property
    def is_local(self) -> bool:
        return isinstance(self.filesystem, fs.LocalFileSystem)

    def path(self, *parts: str) -> str:
        """The path of something inside the results, in the store's own file system."""
        return "/".join((self.root.rstrip("/"), *parts))

    def prepare(self) -> None:
        """Make the folders and prove that a file can be written and renamed; raises StoreError if not."""
        with self._reaching("write"):
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
        with self._reaching("write"):
            self._write(self.path(kind, f"{key}.parquet"), table)

    def read(self, kind: str) -> pa.Table:
        """All rows of a kind; a column that a file lacks is null there.

        A column whose types do not go together (numbers in one file, text in another) is read as text.
        Files that cannot be read are left out and named in `unreadable`. Empty when there is nothing.
        """
        prefix = f"{kind}/"
        self.unreadable = [name for name in self.unreadable if not name.startswith(prefix)]
        files = self.files(kind)
        with ThreadPoolExecutor(READERS) as readers:
            found = list(readers.map(self._read_or_none, (info.path for info in files)))
        self.unreadable += [prefix + f.base_name for f, table in zip(files, found, strict=True) if table is None]
        return _concatenated([table for table in found if table is not None])

    def sizes(self, folder: str, suffix: str = ".parquet") -> dict[str, int]:
        """Bytes of the file of each key."""
        return {info.base_name.removesuffix(suffix): info.size for info in self.files(folder, suffix)}

    def rows(self, kind: str, key: str) -> list[dict[str, Any]]:
        """The rows of one trial; empty when it has none that can be read."""
        table = self._read_or_none(self.path(kind, f"{key}.parquet"))
        return [] if table is None else table.to_pylist()

    def write_bytes(self, folder: str, name: str, data: bytes) -> None:
        """Put a file (weights, a checkpoint) beside the tables, as atomically as the tables.

        Raises StoreError when it cannot be written: the earlier file is then still there.
        """
        with self._reaching("write"):
            self.filesystem.create_dir(self.path(folder), recursive=True)
            self._put(self.path(folder, name), lambda sink: sink.write(data))

    def read_bytes(self, folder: str, name: str) -> bytes | None:
        """The content of such a file; None when there is none. Raises StoreError when it cannot be read."""
        path = self.path(folder, name)
        with self._reaching("read"):
            if self.filesystem.get_file_info(path).type == fs.FileType.NotFound:
                return None
            with self.filesystem.open_input_file(path) as source:
                return source.read()

    def delete_bytes(self, folder: str, name: str) -> None:
        """Remove such a file where there is one. Raises StoreError when that cannot be done."""
        path = self.path(folder, name)
        with self._reaching("write"):
            if self.filesystem.get_file_info(path).type != fs.FileType.NotFound:
                self.filesystem.delete_file(path)

    @contextlib.contextmanager
    def _reaching(self, what: str) -> Iterator[None]:
        try:
            yield
        except (OSError, pa.ArrowException) as error:
            raise StoreError(
                f"cannot {what} results {'from' if what == 'read' else 'to'} {self.location!r}: {error}. "
                "Free some space or mend its permissions, or choose another place with --results."
            ) from None

    def files(self, folder: str, suffix: str = ".parquet") -> list[fs.FileInfo]:
        """The complete files of a folder, by path."""
        selector = fs.FileSelector(self.path(folder), allow_not_found=True)
        found = self.filesystem.get_file_info(selector)
        return sorted((f for f in found if f.path.endswith(suffix)), key=lambda f: f.path)

    def _read(self, path: str) -> pa.Table:
        with self.filesystem.open_input_file(path) as source:
            # Half the time of pq.read_table, which looks for a partitioned data set first.
            return pq.ParquetFile(source).read(use_threads=False)

    def _read_or_none(self, path: str) -> pa.Table | None:
        try:
            return self._read(path)
        except (OSError, pa.ArrowException):
            return None

    def _write(self, path: str, table: pa.Table) -> None:
        # Dictionaries and statistics of single rows double a file and the time to read it.
        options = {"compression": "zstd", "use_dictionary": False, "write_statistics": False}
        self._put(path, lambda sink: pq.write_table(table, sink, **options))

    def _put(self, path: str, fill: Callable[[Any], Any]) -> None:
        """An object store shows an object only once it is complete; a folder needs the rename."""
        if not self.is_local:
            with self.filesystem.open_output_stream(path) as sink:
                fill(sink)
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
        text = [v if v is None or isinstance(v, str) else to_json(v) for v in values]
        table = table.set_column(table.column_names.index(name), name, pa.array(text, pa.string()))
    return table


def to_json(value: Any) -> str:
    """JSON text with sorted keys, so that equal values give equal text."""
    return json.dumps(value, sort_keys=True, default=str)
