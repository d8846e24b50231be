"""What becomes of finished trials once more epochs are wanted."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from evae.longer import begins, obstacle
from evae.recipe import Recipe
from evae.results.store import Store

SUFFIX = ".safetensors"
KEPT = {"states": "state of a training", "weights": "file of weights"}
LONGEST = 1 << 24
"""Bytes of a header; safetensors allows six times as many."""


def said_of_longer(store: Store, history: Iterable[Mapping[str, Any]], epochs: int) -> list[str]:
    """How many finished trials with fewer epochs go on from the state of their training, and why others begin anew.

    Raises StoreError for a state that cannot be read, or is another training's: it would be trained over.
    """
    sizes = store.sizes("states", SUFFIX)
    short = [row for row in history if row["state"] == "finished" and _epochs(row) < epochs]
    why, damaged = Counter(), {}
    for row in short:
        trial = row["trial"]
        optimisation = row["recipe"]["optimisation"] | {"epochs": epochs}
        recipe = row["recipe"] | {"optimisation": optimisation}
        if reason := obstacle(Recipe.from_dict(recipe)):
            why[reason] += 1
        elif trial not in sizes:
            why["no state of their training was kept (--keep states)"] += 1
        elif fault := _fault(store, row, sizes[trial], recipe):
            damaged[f"states/{trial}{SUFFIX}"] = fault
        else:
            why[""] += 1
    if damaged:
        raise store.damaged("states", damaged)
    going_on = why.pop("", 0)
    if not short:
        return []
    said = [f"{count} begin anew, for {reason}" for reason, count in why.items()]
    return [f"more epochs: of {len(short)} finished trials {'; '.join([f'{going_on} go on where they ended', *said])}"]


def said_of_precision(store: Store, epochs: int, precision: Callable[[Recipe], str]) -> list[str]:
    """How many finished trials with fewer epochs begin anew since the states of their training are in another
    arithmetic than a recipe's `precision` here, which is known once the machines are."""
    sizes, why = store.sizes("states", SUFFIX), Counter()
    for row in store.rows("trials") if sizes else []:
        if row["state"] != "finished" or row["trial"] not in sizes:
            continue
        recipe = json.loads(row["recipe"])
        if _epochs({"recipe": recipe}) >= epochs or obstacle(known := Recipe.from_dict(recipe)):
            continue
        kept = header(store, "states", f"{row['trial']}{SUFFIX}", sizes[row["trial"]])
        was, here = (kept.get("precision") if isinstance(kept, dict) else None), precision(known)
        if was not in (None, here):
            why[f"their states are of trainings in {was}, and they are trained in {here} here"] += 1
    return [f"more epochs: {count} of these begin anew nevertheless: {reason}" for reason, count in why.items()]


def _epochs(row: Mapping[str, Any]) -> int:
    return row["recipe"]["optimisation"]["epochs"]


def _fault(store: Store, row: Mapping[str, Any], size: int, recipe: Mapping[str, Any]) -> str | None:
    """Why a trial's file is no state from which a training of this recipe could go on, if so."""
    known = header(store, "states", f"{row['trial']}{SUFFIX}", size)
    if isinstance(known, str):
        return known
    if "epoch" not in known:
        return "it is no state of a training"
    if not begins(recipe, known["recipe"]):
        return "it is of another training"
    planned = known["recipe"]["optimisation"]["epochs"]
    if known["epoch"] != planned:
        return "it is of another training"
    # It may be of fewer: the trial went on since, and kept no other.
    return f"it is of {planned} epochs, and its trial has had {_epochs(row)}" if planned > _epochs(row) else None


def header(store: Store, folder: str, name: str, size: int) -> dict[str, Any] | str:
    """What a file of weights or states of so many bytes says of itself, its `recipe` among it, or why it is none; only
    its header is read."""
    try:
        length = int.from_bytes((store.read_bytes(folder, name, 8) or b""), "little")
        if not 0 < length <= LONGEST:
            raise ValueError
        known = json.loads((store.read_bytes(folder, name, 8 + length) or b"")[8:])
        said = json.loads(known.pop("__metadata__")["evae"])
        ends = max(part["data_offsets"][1] for part in known.values())
        if not isinstance(said["recipe"], dict):
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"it is no {KEPT[folder]}"
    return said if 8 + length + ends == size else f"it has {size} bytes instead of {8 + length + ends}"
