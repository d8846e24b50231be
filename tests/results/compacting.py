"""A store with rows of every kind, and what happens to it while its small files are made few."""

import contextlib
from datetime import UTC, datetime
from typing import Any

from pyarrow import fs
from running import DEADLINE_S

from evae.results.compaction import compact
from evae.results.store import KINDS, Store, StoreError

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
COUNT = 12


def trial(index: int) -> str:
    return f"{index:012x}-s{index % 2}"


def fill(store: Store) -> Store:
    """Rows of every kind, whose columns and types differ from file to file."""
    store.prepare()
    for index in range(COUNT):
        key = trial(index)
        row = {"trial": key, "number": index, "label": "a" if index % 3 else None, "ended_at": NOON, "loss": index / 7}
        row |= {"param_x": "auto"} if index == 5 else {"param_x": index if index % 4 else 0.5}
        row |= {"rates": [0.5] * index} if index > 8 else {}
        store.write("trials", key, [row])
        store.write("epochs", key, [{"trial": key, "epoch": epoch, "loss": 1 / epoch} for epoch in (3, 1, 2)])
        store.write("images", key, [{"trial": key, "kind": kind, "png": bytes(500)} for kind in ("real", "sampled")])
    store.write("study", "now", [{"session": "now"}])
    return store


def copied(store: Store, place: str) -> Store:
    """The same files elsewhere of the same kind."""
    to = Store(place)
    to.prepare()
    for info in store.filesystem.get_file_info(fs.FileSelector(store.root, recursive=True)):
        path = to.root + info.path.removeprefix(store.root)
        if not info.is_file:
            to.filesystem.create_dir(path)
            continue
        with store.filesystem.open_input_file(info.path) as source, to.filesystem.open_output_stream(path) as target:
            target.write(source.read())
    return to


def everything(store: Store) -> dict[str, Any]:
    """All rows in both ways in which all are read, and those of every third trial, which are found one by one."""
    found: dict[str, Any] = {}
    for kind in KINDS:
        found[kind] = store.rows(kind), store.read(kind).to_pylist(), sorted(store.sizes(kind)), store.unreadable
        keys = sorted(store.sizes(kind))
        found |= {f"{kind} {key}": present(store.rows(kind, key)) for key in {*keys[::3], *keys[-1:]}}
    return found


def present(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without what is null: a compacted file has the columns of all that are in it."""
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


def small(store: Store) -> int:
    return sum(len(store.files(kind)) for kind in KINDS if kind != "study")


def many(store: Store) -> int:
    return sum(len(store.compacted(kind)) for kind in KINDS)


class Killed(Exception):
    pass


class Dying:
    """A file system whose process is killed at its `left`-th change."""

    def __init__(self, real: fs.FileSystem, left: int):
        self.real, self.left = real, left

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def _change(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Killed

    def delete_file(self, path: str) -> None:
        self._change()
        self.real.delete_file(path)

    def open_output_stream(self, path: str) -> Any:
        self._change()
        return self.real.open_output_stream(path)


def rewrite_for_ever(root: str, ready: Any) -> None:
    store, count = Store(root), 0
    while True:
        count += 1
        for index in range(4):
            store.write("trials", trial(index), [{"trial": trial(index), "count": count}])
        compact(store, 2)
        if count == 2:
            ready.set()


def compact_once(root: str, barrier: Any) -> None:
    store = Store(root)
    barrier.wait(DEADLINE_S)
    with contextlib.suppress(StoreError):  # a file of the other's
        compact(store, 2)
