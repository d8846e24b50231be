"""The many small files of a study made a few, at the end of a session that has the study for itself.

First a compacted file is written whole (`evae.results.compacted`), and then what is in it is deleted; readers take
whatever is in both once. Killed in between, it loses nothing, and the next session deletes the rest. Compacted files
are never changed: those that have room are taken up in a new one, together with what is new.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import fs

from evae.results import compacted
from evae.results.compacted import FOLDER, KEY
from evae.results.parts import READERS
from evae.results.store import KINDS, Store, StoreError, fault

MANY = 64
"""Fewer small files of a kind stay as they are."""
FULL = 128 << 20
"""Bytes of a compacted file's table, from which on nothing is added to it."""
ROWS = 1000
"""Of a row group, which is read whole for one of its keys."""
LARGE = {"images": 512 << 10, "clouds": 512 << 10}
"""Bytes of one, in kinds that are read a key at a time."""
AT_ONCE = 500
"""Small files that are read before the next are."""


def compact(store: Store, many: int = MANY, full: int = FULL) -> int:
    """Compact every kind of which there are at least so `many` small files, and finish what was begun before; how many
    files were deleted.

    Only for whoever has the store for itself (`evae.results.lock`). A kind of which a compacted file is damaged, and
    small files that are, stay as they are. Raises StoreError when something cannot be read or written: nothing is lost
    then.
    """
    return sum(_Kind(store, kind, full).compact(many) for kind in KINDS if kind != "study")


def tidied(store: Store) -> list[str]:
    """Compact a store as the last thing of work that is done, whether that can be or not; what is to be said of it."""
    try:
        compact(store)
    except StoreError as error:
        return [f"the small files of the results stay as they are: {error}"]
    return []


@dataclass
class _Group:
    """Tables whose columns go together as they are, and the files that they are from."""

    schema: pa.Schema
    tables: list[pa.Table] = field(default_factory=list)
    sources: list[fs.FileInfo] = field(default_factory=list)
    nbytes: int = 0

    def takes(self, other: pa.Schema) -> bool:
        """Whether rows with these columns keep every value and its type here. Takes note of the columns if so."""
        if not other.equals(self.schema):
            try:
                # Null becomes any type, and no type another.
                self.schema = pa.unify_schemas([self.schema, other], promote_options="default")
            except (pa.ArrowTypeError, pa.ArrowInvalid):
                return False
        return True


class _Kind:
    """A kind of a store, being compacted."""

    def __init__(self, store: Store, kind: str, full: int):
        self.store, self.kind, self.full = store, kind, full
        with store.reaching("read"):
            self.small, self.old = store.parts.listed(kind)
            self.found = [store.parts.many(kind, info, [KEY]) for info in self.old]
        self.generation = max((_generation(info) for info in self.old), default=0)
        self.groups: list[_Group] = []
        self.deleted = 0

    def compact(self, many: int) -> int:
        """As the function says."""
        if any(isinstance(part.table, str) for part in self.found):
            return 0
        current = compacted.newest([], self.found)
        over = [info for info, part in zip(self.old, current, strict=True) if not part.table.num_rows]
        self._delete(over)
        left = [(f, compacted.keys(p.table)) for f, p in zip(self.old, self.found, strict=True) if f not in over]
        known = {key for _, keys in left for key in keys.to_pylist()}
        if len(self.small) >= many or any(_key(info) in known for info in self.small):
            self._take(left)
        self._sweep()
        return self.deleted

    def _take(self, old: Sequence[tuple[fs.FileInfo, pa.Array]]) -> None:
        """Put all small files, and of the `old` ones, with their keys, those that have room, into new ones."""
        taken = []
        for start in range(0, len(self.small), AT_ONCE):
            files = self.small[start : start + AT_ONCE]
            with self.store.reaching("read"):
                parts = self.store.parts.small(self.kind, files)
            for info, part in zip(files, parts, strict=True):
                if fault(self.kind, part) is None:
                    taken.append(part)
                    self._add(info, part.keyed())
        gone = pa.array([part.key for part in taken], pa.string())
        for info, keys in reversed(old):
            with self.store.reaching("read"):
                room = self.store.parts.nbytes(info) < self.full // 2
                part = self.store.parts.many(self.kind, info) if room else None
            if part is not None and not isinstance(part.table, str):
                self._add(info, part.without(gone).table)
            gone = pa.concat_arrays([gone, keys])
        for group in self.groups:
            self._write(group)

    def _add(self, source: fs.FileInfo, table: pa.Table) -> None:
        group = next((one for one in self.groups if one.takes(table.schema)), None)
        if group is None:
            group = _Group(table.schema)
            self.groups.append(group)
        group.tables.append(table)
        group.sources.append(source)
        group.nbytes += table.nbytes
        if group.nbytes >= self.full:
            self._write(group)

    def _write(self, group: _Group) -> None:
        """A compacted file of what was gathered, in the place of what that is from."""
        if not group.tables:
            return
        table = pa.concat_tables(group.tables, promote_options="default")
        table = table.take(pc.sort_indices(table, sort_keys=[(KEY, "ascending")])).combine_chunks()
        table = table.select([KEY, *(name for name in table.column_names if name != KEY)])
        if table.num_rows:
            self.generation += 1
            name = f"{self.generation:09}-{uuid.uuid4().hex}.parquet"
            most = LARGE.get(self.kind, table.nbytes)
            rows = max(1, min(ROWS, table.num_rows * most // max(1, table.nbytes)))
            self.store.write_compacted(self.kind, name, table, rows)
        self._delete(group.sources)
        group.tables, group.sources, group.nbytes = [], [], 0

    def _delete(self, files: Sequence[fs.FileInfo]) -> None:
        """Delete files, but for those that somebody has written anew since they were listed."""
        filesystem = self.store.filesystem
        with self.store.reaching("write"):
            now = filesystem.get_file_info([info.path for info in files]) if files else []
            same = [info.path for info, was in zip(now, files, strict=True) if _version(info) == _version(was)]
            with ThreadPoolExecutor(READERS) as threads:
                list(threads.map(filesystem.delete_file, same))
        self.deleted += len(same)

    def _sweep(self) -> None:
        """Delete what killed sessions have left beside the compacted files."""
        folder = f"{self.kind}/{FOLDER}"
        listings = {compacted.sidecar(info.base_name) for info in self.store.parts.compacted(self.kind)}
        with self.store.reaching("write"):
            selector = fs.FileSelector(self.store.path(folder), allow_not_found=True)
            for info in self.store.filesystem.get_file_info(selector):
                if info.base_name.endswith(".part") or (info.base_name[0] == "_" and info.base_name not in listings):
                    self.store.filesystem.delete_file(info.path)


def _key(info: fs.FileInfo) -> str:
    return info.base_name.removesuffix(".parquet")


def _generation(info: fs.FileInfo) -> int:
    number = info.base_name.partition("-")[0]
    return int(number) if number.isdecimal() else 0


def _version(info: fs.FileInfo) -> tuple[object, ...]:
    return info.type, info.size, info.mtime_ns
