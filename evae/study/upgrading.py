"""A store of an earlier version brought to the present layout: its rows get the columns that they lack, where what
stands in them can be known. What cannot be known stays empty, and what is there is not changed.

Trials come first, then the manifests, which say of which layout the store is, and at last small files are made a few. A
file at a time is written anew, as atomically as any: stopped or killed in between, the same call goes on with the rest.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.text import Text

from evae.errors import UserError
from evae.results.compaction import compact
from evae.results.lock import sole_driver
from evae.results.store import SCHEMA_VERSION, Store, to_json
from evae.search.job import SEARCH

UNKNOWN = ("identity", "numerics", "processor")
"""Columns of today's trials that nobody can fill in afterwards."""
OF_SESSIONS = {"claims": to_json([]), "constraints": to_json([]), "metrics": to_json({})}
"""What a version states that has none of these: without claims and constraints there were no such options."""


@dataclass(frozen=True)
class Change:
    """What one file's rows get; `values` by column."""

    kind: str
    key: str
    values: Mapping[str, Any]


def upgrade(store: Store, console: Console, apply: bool) -> None:
    """Say what there is to do, and with `apply` do it.

    Raises UserError where there is no study and where a driver is at work on it, and StoreError where something cannot
    be read or written, or is a newer version's; what was written until then is as good as the rest.
    """
    _tell(store, changes(store), console)
    if not apply:
        console.print("Nothing has been changed: --apply does it.")
        return
    with sole_driver(store):
        for change in changes(store):
            rows = store.rows(change.kind, change.key)
            store.write(change.kind, change.key, [row | change.values for row in rows])
        if count := compact(store):
            console.print(f"{count} small files have become a few.")


def changes(store: Store) -> list[Change]:
    """What there is to do, in order. Raises UserError as `upgrade` does."""
    sessions = store.rows("study")
    if not sessions:
        raise UserError(f"no study in {store.location!r}: give the results folder of a study")
    known = dict(_of_trials([_identity(store, row) for row in sessions]))
    found = [Change("trials", row["trial"], lacking) for row in store.rows("trials") if (lacking := _lacks(row, known))]
    now = OF_SESSIONS | {"schema_version": SCHEMA_VERSION}
    for row in sessions:
        earlier = {"schema_version": SCHEMA_VERSION} if row.get("schema_version") != SCHEMA_VERSION else {}
        if lacking := _lacks(row, now) | earlier:
            found.append(Change("study", row["session"], lacking))
    return found


def _identity(store: Store, session: Mapping[str, Any]) -> dict[str, Any]:
    try:
        found = json.loads(session["identity"])
        found["data digest"], found["recipe"]
    except (KeyError, TypeError, ValueError):
        name = f"study/{session.get('session')}.parquet"
        raise store.damaged("study", {name: "it does not say what the study is"}) from None
    return found


def _of_trials(identities: list[dict[str, Any]]) -> Iterator[tuple[str, Any]]:
    """What trials without them have in these columns."""
    # Who wrote trials without a role confirmed nothing: all of them were part of the search.
    yield "role", SEARCH
    # A study goes on with the same images only, but for those of another version of a plug-in.
    for column, name in (("data_digest", "data digest"), ("plugins", "plug-ins")):
        values = {to_json(identity.get(name, {})) for identity in identities}
        if len(values) == 1:
            (value,) = values
            yield column, json.loads(value) if column == "data_digest" else value


def _lacks(row: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in known.items() if row.get(name) is None}


def _tell(store: Store, found: list[Change], console: Console) -> None:
    def say(line: str) -> None:
        console.print(Text(line))

    if not found:
        say(f"{store.location} is of the present layout ({SCHEMA_VERSION}) already.")
        return
    say(f"{store.location} gets, for layout {SCHEMA_VERSION}:")
    for (kind, column), count in Counter((each.kind, name) for each in found for name in each.values).items():
        say(f"  {kind}: {column}, in {count} file(s)")
    without = [row for row in store.rows("trials") if any(row.get(name) is None for name in UNKNOWN)]
    if without:
        say(f"What nobody knows afterwards stays empty in {len(without)} trial(s): {', '.join(UNKNOWN)}.")
