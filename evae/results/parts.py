"""The files of a study's tables, small and compacted, as they are read: each key once, the newest."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs

from evae.results import compacted, places
from evae.results.compacted import FOLDER, KEY, Part

READERS = 4
"""Threads that read a kind's many small files: most of the time is waiting and decoding outside of Python."""
TRIES = 10
"""How often files are listed anew because one was compacted before it was read."""
SUFFIX = ".parquet"

Found = TypeVar("Found")


class Vanished(FileNotFoundError):
    """A file that was listed is not there any more: it was compacted meanwhile."""


class Parts:
    """The files of a place. `named_after` is the column of each kind that a file's name repeats; `footers` are, by
    path, those of compacted files that were read before.

    Raises what pyarrow raises, and OSError where files vanish whenever they are looked at.
    """

    def __init__(
        self, filesystem: fs.FileSystem, root: str, named_after: Mapping[str, str], footers: dict[str, pq.FileMetaData]
    ):
        self.filesystem, self.root, self.named_after, self._footers = filesystem, root, named_after, footers

    def path(self, *parts: str) -> str:
        """The path of something inside the place, in its own file system."""
        return "/".join((self.root.rstrip("/"), *filter(None, parts)))

    def files(self, folder: str, suffix: str = SUFFIX) -> list[fs.FileInfo]:
        """The complete files of a folder, by key; without hidden ones, which other programs leave beside them."""
        found = self.filesystem.get_file_info(fs.FileSelector(self.path(folder), allow_not_found=True))
        mine = (
            f for f in found if f.path.endswith(suffix) and not f.base_name.startswith(".") and f.base_name != FOLDER
        )
        return sorted(mine, key=lambda info: info.base_name.removesuffix(suffix))

    def compacted(self, kind: str) -> list[fs.FileInfo]:
        """The compacted files of a kind, the oldest first."""
        return self.files(f"{kind}/{FOLDER}")

    def listed(self, kind: str) -> tuple[list[fs.FileInfo], list[fs.FileInfo]]:
        """The small files of a kind, and the compacted ones.

        What was not listed because it was deleted meanwhile is in a compacted file, which was there before and is
        listed afterwards; and that one is not left out either, if two listings agree.
        """
        after = self.compacted(kind)
        for _ in range(TRIES):
            before, small, after = after, self.files(kind), self.compacted(kind)
            if [info.path for info in before] == [info.path for info in after]:
                return small, after
        raise _restless(kind)

    def of(self, kind: str, columns: Sequence[str] | None = None) -> list[Part]:
        """What there is of a kind; with `columns` these alone, as far as a file has them."""
        wanted = columns and [KEY, *columns]

        def read() -> list[Part]:
            small, many = self.listed(kind)
            return compacted.newest(self.small(kind, small, columns), [self.many(kind, info, wanted) for info in many])

        return _settled(kind, read)

    def of_key(self, kind: str, key: str) -> list[Part]:
        """What there is of one key."""

        def read() -> list[Part]:
            info = self.filesystem.get_file_info(self.path(kind, f"{key}{SUFFIX}"))
            if info.type != fs.FileType.NotFound:
                return self.small(kind, [info])
            for info in reversed(self.compacted(kind)):
                part = self.many(kind, info, key=key)
                if isinstance(part.table, str) or part.table.num_rows:
                    return [part]
            return []

        return _settled(kind, read)

    def sizes(self, kind: str) -> dict[str, int]:
        """Bytes of each key of the compacted files that can be read: an equal share of its file."""

        def read() -> dict[str, int]:
            found: dict[str, int] = {}
            for info in self.compacted(kind):
                table = self.many(kind, info, [KEY]).table
                known = [] if isinstance(table, str) else compacted.keys(table).to_pylist()
                found |= dict.fromkeys(known, info.size // max(1, len(known)))
            return found

        return _settled(kind, read)

    def small(self, kind: str, files: Sequence[fs.FileInfo], columns: Sequence[str] | None = None) -> list[Part]:
        """The small files as tables. Raises Vanished where one is not there any more."""
        with ThreadPoolExecutor(READERS) as readers:
            tables = readers.map(lambda info: self._read_or_say(info.path, columns), files)
            names = [info.base_name for info in files]
            return [Part(f"{kind}/{n}", t, n.removesuffix(SUFFIX)) for n, t in zip(names, tables, strict=True)]

    def many(self, kind: str, info: fs.FileInfo, columns: Sequence[str] | None = None, key: str | None = None) -> Part:
        """A compacted file as a table, or what it has of a key. Raises Vanished where it is not there any more."""
        table = self._read_or_say(info.path, columns, key)
        if not isinstance(table, str):
            repeated = self.named_after.get(kind)
            wrong = compacted.fault(table, repeated if columns is None or repeated in columns else None)
            table = wrong or (table if key is None else table.filter(pc.equal(table.column(KEY), key)))
        if isinstance(table, str):
            table = f"{table}; {self._lost(info)}"
        return Part(f"{kind}/{FOLDER}/{info.base_name}", table)

    def nbytes(self, info: fs.FileInfo) -> int:
        """Bytes of the table of a file."""
        with self.filesystem.open_input_file(info.path) as source:
            footer = pq.ParquetFile(source).metadata
            return sum(footer.row_group(index).total_byte_size for index in range(footer.num_row_groups))

    def _lost(self, info: fs.FileInfo) -> str:
        """What a compacted file holds, in words."""
        listing = info.path.removesuffix(info.base_name) + compacted.sidecar(info.base_name)
        try:
            with self.filesystem.open_input_file(listing) as source:
                return compacted.lost(source.read())
        except OSError:
            return compacted.lost(None)

    def _read_or_say(self, path: str, columns: Sequence[str] | None = None, key: str | None = None) -> pa.Table | str:
        try:
            with self.filesystem.open_input_file(path) as source:
                # Half the time of pq.read_table, which looks for a partitioned data set first.
                file = pq.ParquetFile(source, metadata=self._footers.get(path), page_checksum_verification=True)
                if key is not None:
                    self._footers[path] = file.metadata
                    groups = compacted.groups(file.metadata, key)
                    table = file.read_row_groups(groups, [KEY], use_threads=False)
                    there = KEY not in table.column_names or key in table.column(KEY).to_pylist()
                    table = file.read_row_groups(groups if there else [], use_threads=False)
                else:
                    table = file.read(columns and list(columns), use_threads=f"/{FOLDER}/" in path)
                # Text that is none, in a value or in a column's name, would fail only where it is used.
                table.validate(full=True)
                _ = table.column_names
                return table
        except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
            # An object may vanish once it is open. Where nothing answers any more, this says so, and not of the file.
            if isinstance(error, OSError) and self.filesystem.get_file_info(path).type == fs.FileType.NotFound:
                raise Vanished from None
            return said(error)


def said(error: Exception) -> str:
    """An error of a file in a line, without keys."""
    return places.redacted(" ".join(str(error).split())).rstrip(".")


def _settled(kind: str, read: Callable[[], Found]) -> Found:
    """What is read once no file vanishes meanwhile."""
    for _ in range(TRIES):
        try:
            return read()
        except Vanished:
            continue
    raise _restless(kind)


def _restless(kind: str) -> OSError:
    return OSError(f"its {kind}/ changes whenever it is read; wait until nobody writes there")
