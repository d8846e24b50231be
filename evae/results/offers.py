"""What stores offer to other studies: their finished trials, found by identity without reading more than some columns.

A place is the results of a study, or a folder of such results. What it says is believed as little as can be: a row is
found by a digest that this study has made itself, and `evae.study.pool` looks at the row before it is taken.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import fs

from evae.numerics import NUMERICS
from evae.results import places
from evae.results.store import NAMED, SCHEMA_VERSION, Store, StoreError

COLUMNS = ("trial", "identity", "state", "numerics", "data_digest", "precision")
TELLING = ("trial", "state", "seed", "role", "params", "recipe", "distances", "plugins", "ended_at")
"""Columns of which a sampler learns, beside the objectives."""
NONE = "none"
"""The place that is none."""


@dataclass
class Offers:
    """The finished trials of `stores` on images of one digest, made by this version's numerics. `others` counts those
    that no study of today can take, by reason; `notes` say what could not be read."""

    stores: list[Store] = field(default_factory=list)
    found: dict[str, list[tuple[int, str]]] = field(default_factory=lambda: defaultdict(list))
    """By identity: which store, and the trial's name there."""
    precisions: set[str] = field(default_factory=set)
    """In which arithmetic they were trained."""
    others: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return sum(map(len, self.found.values()))

    def add(self, store: Store, digest: str) -> None:
        """Look through a store's trials. What cannot be used of it is named in `notes`."""
        try:
            table, why = store.usable("trials", COLUMNS)
            if later := later_schema(store):
                raise StoreError(f"{store.location} is of schema {later}, which this version of evae does not know.")
        except StoreError as error:
            self.notes.append(f"{error} Nothing is taken from there.")
            return
        self.notes += [f"{store.location}: {name} is not taken: {reason}" for name, reason in list(why.items())[:NAMED]]
        if len(why) > NAMED:
            self.notes.append(f"{store.location}: and {len(why) - NAMED} more files are not")
        if not table.num_rows:
            return
        of = {name: _column(table, name) for name in COLUMNS}
        finished = pc.equal(of["state"], "finished")
        here = pc.equal(of["data_digest"], digest)
        same = pc.equal(of["numerics"], str(NUMERICS))
        named = pc.and_(finished, pc.and_(pc.is_valid(of["identity"]), pc.is_valid(of["trial"])))
        other = pc.and_(finished, pc.invert(pc.fill_null(same, False)))
        # The oldest rows do not say of which images they are.
        self._count("made by another version's numbers", pc.and_(other, pc.fill_null(here, True)))
        chosen = pc.fill_null(pc.and_(named, pc.and_(here, same)), False)
        self.precisions |= set(of["precision"].filter(chosen).unique().to_pylist())
        self.stores.append(store)
        index, pairs = len(self.stores) - 1, (of[name].filter(chosen).to_pylist() for name in ("identity", "trial"))
        for identity, trial in zip(*pairs, strict=True):
            self.found[identity].append((index, trial))

    def newest(self, index: int, more: Sequence[str], most: int) -> list[dict[str, Any]]:
        """What rows of so many of a store's trials that are offered say, of those that ended last: `TELLING` and `more`
        columns, None where they do not."""
        store = self.stores[index]
        mine = pa.array([trial for of in self.found.values() for place, trial in of if place == index], pa.string())
        table, _ = store.usable("trials", (*TELLING, *more))
        if "trial" not in table.column_names:
            return []
        table = table.filter(pc.is_in(_column(table, "trial"), value_set=mine))
        # As text, ISO 8601 is in the order of time.
        table = table.take(pc.sort_indices(_column(table, "ended_at"))[-most:])
        there = [name for name in (*TELLING, *more) if name in table.column_names]
        return [dict.fromkeys((*TELLING, *more)) | row for row in table.select(there).to_pylist()]

    def _count(self, reason: str, which: Any) -> None:
        if number := pc.sum(pc.fill_null(which, False)).as_py():
            self.others[reason] += number


def gathered(given: Sequence[str], results: str, own: Store, digest: str) -> Offers:
    """What the places `given`, and the studies below `results`, offer but for the study's `own` trials; nothing where
    the places are `NONE`.

    Raises UserError for a place that was given and is none, or holds no study; what lies beside the own results and
    cannot be read is named.
    """
    offers, known = Offers(), {(own.filesystem.type_name, own.root.rstrip("/"))}
    if NONE in given:
        return offers
    for place in [*given, results]:
        try:
            stores = stores_at(place)
        except StoreError as error:
            raise StoreError(f"--pool {places.shown(place)}: {error}") from None
        if not stores and place is not results:
            raise StoreError(f"--pool {places.shown(place)} holds no study: give results, or a folder of results")
        for store in stores:
            if (key := (store.filesystem.type_name, store.root.rstrip("/"))) not in known:
                known.add(key)
                offers.add(store, digest)
    return offers


def stores_at(place: str) -> list[Store]:
    """The store at a place, or those in its folders."""
    store = Store(place)
    with store.reaching("read"):
        found = store.filesystem.get_file_info(fs.FileSelector(store.root, allow_not_found=True))
    names = sorted(info.base_name for info in found if info.type == fs.FileType.Directory)
    if "trials" in names:
        return [store]
    inner = [Store(places.join(place, name)) for name in names if not name.startswith(".")]
    return [each for each in inner if _is_study(each)]


def _is_study(store: Store) -> bool:
    """Whether there are trials; what cannot be looked into is said where it is read."""
    try:
        return store.filesystem.get_file_info(store.path("trials")).type == fs.FileType.Directory
    except (OSError, pa.ArrowException):
        return True


def later_schema(store: Store) -> int | None:
    """The schema of a study that a later version has written: what its trials say would be misread."""
    table = store.read("study")
    known = table.column("schema_version").to_pylist() if "schema_version" in table.column_names else []
    return next((version for version in known if isinstance(version, int) and version > SCHEMA_VERSION), None)


def _column(table: pa.Table, name: str) -> pa.ChunkedArray:
    """A column as text, null where it is not there."""
    if name not in table.column_names:
        return pa.chunked_array([pa.nulls(table.num_rows, pa.string())])
    column = table.column(name)
    try:
        return column.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return pa.chunked_array([pa.nulls(table.num_rows, pa.string())])
