"""What stores hold, and whether it is what it says: for pools, whose rows come from anywhere."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from evae.errors import UserError
from evae.identity import identity
from evae.longer import begins
from evae.results import places
from evae.results.compacted import KEY
from evae.results.offers import later_schema, stores_at
from evae.results.store import KINDS, Store, fault
from evae.study.longer import SUFFIX, header
from evae.study.taking import differing

FOLDERS = ("weights", "states")
LONGEST = 1 << 20
"""Characters of a text; recipes have a few thousand."""


@dataclass
class Checked:
    """Trials of several stores: `fine` are the rows of finished ones in which nothing is wrong, each with its store;
    `problems` are sentences."""

    fine: list[tuple[Store, dict[str, Any]]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def stores(given: Sequence[str]) -> list[Store]:
    """The stores at places: a study's results, or a folder of such. Raises UserError for a place that holds none."""
    found = []
    for place in given:
        here = stores_at(place)
        if not here:
            raise UserError(f"{places.shown(place)} holds no study: give the results of one, or a folder of results")
        found += here
    return found


def listed(store: Store) -> dict[str, Any]:
    """What a store holds, by the names of its columns in a table."""
    names = ("state", "data_digest", "numerics", "device", "threads")
    table = store.columns("trials", names).to_pylist()
    finished = [row for row in table if row.get("state") == "finished"]
    sizes = [size for folder in (*KINDS, *FOLDERS) for size in nbytes(store, folder)]

    def of(name: str) -> str:
        return ", ".join(sorted({str(row[name]) for row in finished if row.get(name) is not None})) or "not known"

    return {
        "results": store.location,
        "trials": str(len(table)),
        "finished": str(len(finished)),
        "data": of("data_digest"),
        "numbers": of("numerics"),
        "devices": of("device"),
        "threads": of("threads"),
        "MB": f"{sum(sizes) / 1e6:.3g}",
    }


def nbytes(store: Store, folder: str) -> Iterator[int]:
    """Bytes of each file of a folder of results."""
    suffix = SUFFIX if folder in FOLDERS else ".parquet"
    yield from (info.size for info in store.files(folder, suffix))
    if folder in KINDS:
        yield from (info.size for info in store.compacted(folder))


def check(found: Sequence[Store]) -> Checked:
    """Look at everything that stores hold, without training anything."""
    checked = Checked()
    for store in found:
        _check_store(store, checked)
    seen: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    disputed: set[str] = set()
    for store, row in checked.fine:
        name, others = f"{store.location}: {row['trial']}", seen.setdefault(row["identity"], [])
        for other, before in others:
            if why := differing(before, row):
                disputed.add(row["identity"])
                checked.problems.append(f"one training with two values, {other} and {name}: {why}")
        others.append((name, row))
    checked.fine = [pair for pair in checked.fine if pair[1]["identity"] not in disputed]
    return checked


def _check_store(store: Store, checked: Checked) -> None:
    rows: dict[str, dict[str, Any]] = {}
    broken: set[str | None] = set()
    for kind in KINDS:
        with store.reaching("read"):
            parts = store.parts.of(kind)
        for part in parts:
            if reason := fault(kind, part):
                checked.problems.append(f"{store.location}/{part.name}: {reason}")
                # What of the study is damaged is none of a trial.
                broken |= set() if kind == "study" else {part.key}
            elif kind == "trials":
                plain = part.table.drop_columns([KEY] * (part.key is None)).to_pylist()
                rows |= {row["trial"]: row for row in plain if row.get("state") == "finished"}
    if later_schema(store):
        return
    wrong = {trial: reason for trial, row in rows.items() if (reason := wrong_in(row))}
    checked.problems += [f"{store.location}/trials of {trial}: {reason}" for trial, reason in wrong.items()]
    # A compacted file that is damaged may be of any.
    wrong |= dict.fromkeys(rows if None in broken else broken & rows.keys(), "a file of it cannot be read")
    for folder in FOLDERS:
        for trial, size in store.sizes(folder, SUFFIX).items():
            known = header(store, folder, f"{trial}{SUFFIX}", size)
            if not isinstance(known, str):
                if trial not in rows or trial in wrong or _same(folder, known["recipe"], rows[trial]):
                    continue
                known = wrong[trial] = "it is of another recipe than its row"
            checked.problems.append(f"{store.location}/{folder}/{trial}{SUFFIX}: {known}")
    fine = [(store, row) for trial, row in rows.items() if trial not in wrong]
    checked.fine += [pair for pair in fine if pair[1].get("identity") is not None]
    if nameless := len(fine) - sum(row.get("identity") is not None for _, row in fine):
        checked.problems.append(f"{store.location}: {nameless} finished trials of an earlier version have no identity")


def wrong_in(row: Mapping[str, Any]) -> str | None:
    """Why the row of a finished trial is not what it says, if so."""
    for name, value in row.items():
        if isinstance(value, str | bytes | list) and len(value) > LONGEST:
            return f"its {name[:50]} has {len(value):,} characters or values"
    try:
        recipe = json.loads(row["recipe"])
        epochs, seed = recipe["optimisation"]["epochs"], recipe["seed"]
        named = row.get("identity")
        own = named and identity(recipe, row["data_digest"], row["precision"], int(row["numerics"]))
    except (KeyError, TypeError, ValueError, AttributeError):
        return "it does not say what was trained"
    if own != named:
        return "its recipe is not that of its identity"
    if (row.get("epochs"), row.get("seed")) != (epochs, seed):
        return "its row and its recipe differ in epochs or seed"
    return None


def _same(folder: str, kept: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    """Whether what was kept is of the training of a row, whatever both say of the evaluation; a state may be of fewer
    epochs, before its trial went on without keeping another."""
    recipe = json.loads(row["recipe"])
    if folder == "states" or row.get("identity") is None:
        return begins(recipe, kept)
    try:
        return identity(kept, row["data_digest"], row["precision"], int(row["numerics"])) == row["identity"]
    except (KeyError, TypeError, AttributeError):
        return False
