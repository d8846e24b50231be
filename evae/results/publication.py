"""A study as its report needs it, to be kept in version control or sent: Parquet without weights and pictures, and
without what names a machine, its folders or its users.

What stays is what was asked, claimed and measured: a report that is made of it has every verdict, table and chart.
"""

import json
import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evae.errors import UserError
from evae.results.compaction import compact
from evae.results.places import redacted
from evae.results.store import Store, StoreError, to_json

KINDS = ("study", "trials", "epochs")
REPORT = "report.html"
"""What may lie beside them, since it is made of them."""
OF_PLACES = ("results", "data_root", "address", "pool", "track", "config")
"""Options that say where things lie, or who is told of them."""
FOLDERS = re.compile(r"""(?<![\w.])[~/][^\s:,;'"()]*/""")
"""An absolute path, up to its last name."""


def publish(store: Store, folder: str | os.PathLike[str]) -> tuple[Path, int]:
    """Write the study of a store to `folder`/NAME, in the place of what was published of it before; where that is, and
    its bytes.

    Raises UserError where there is no study, or something else lies there, and StoreError for what cannot be read or
    written: what was there before is then still there.
    """
    sessions, trials = store.rows("study"), store.read("trials").to_pylist()
    if store.unreadable:
        raise StoreError(f"{store.location}: {', '.join(store.unreadable)} cannot be read, and would be left out")
    if not sessions or not trials:
        raise UserError(f"no study with trials in {store.location!r}: give the results folder of a study")
    target = Path(folder) / max(sessions, key=lambda row: row["session"])["study"]
    _check_free(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".publish-", dir=target.parent) as scratch:
            made = Path(scratch) / target.name
            for kind in KINDS:
                (made / kind).mkdir(parents=True)
            _write(store, sessions, trials, Store(made))
            if target.exists():
                shutil.rmtree(target)
            made.rename(target)
    except OSError as error:
        raise StoreError(f"cannot write {target}: {error.strerror or error}. Choose another folder.") from None
    return target, sum(file.stat().st_size for file in target.rglob("*.parquet"))


def _check_free(target: Path) -> None:
    """Raise UserError where something lies there that was not published."""
    if target.exists() and (not target.is_dir() or {file.name for file in target.iterdir()} - {*KINDS, REPORT}):
        raise UserError(f"{target} holds more than what is published of a study: give another folder with --to")


def _write(store: Store, sessions: list[dict], trials: list[dict], target: Store) -> None:
    slots = {slot: f"slot {number}" for number, slot in enumerate(dict.fromkeys(row.get("slot") for row in trials), 1)}
    for row in sessions:
        target.write("study", row["session"], [_texts(row) | _of_session(row)])
    for row in trials:
        place = row.get("taken_from")
        own = {"slot": slots[row.get("slot")] if row.get("slot") else None, "traceback": None}
        own["taken_from"] = place and place.rstrip("/").rpartition("/")[2]
        target.write("trials", row["trial"], [_texts(row) | own])
    epochs: dict[str, list[dict]] = {}
    for row in store.rows("epochs"):
        epochs.setdefault(row["trial"], []).append(row)
    for trial, rows in epochs.items():
        target.write("epochs", trial, rows)
    compact(target, 1)


def _of_session(row: Mapping[str, Any]) -> dict[str, Any]:
    """What of a session's row says where it ran."""
    options, hardware = (json.loads(row.get(name) or "{}") for name in ("options", "hardware"))
    options = {name: value for name, value in options.items() if name not in OF_PLACES}
    hardware.pop("hostname", None)
    return {
        "command": row.get("command") and _command(row["command"]),
        "options": _text(to_json(options)),
        "hardware": to_json(hardware),
    }


def _command(text: str) -> str:
    """A command line without the options of places."""
    kept, is_place = [], False
    for word in shlex.split(text):
        if word.startswith("--"):
            is_place = word[2:].partition("=")[0].replace("-", "_") in OF_PLACES
        if not is_place:
            kept.append(_text(word))
    return shlex.join(kept)


def _texts(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _text(value) if isinstance(value, str) else value for name, value in row.items()}


def _text(value: str) -> str:
    """A text without folders: of an absolute path its last name is left."""
    return FOLDERS.sub("", redacted(value))
