"""Finished trials as one data set that another lab can use as its pool: Parquet, safetensors if wanted, and a card,
without secrets."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from evae.errors import UserError
from evae.identity import ORIGIN
from evae.results import measures
from evae.results.compaction import compact
from evae.results.places import redacted
from evae.results.store import Store, to_json
from evae.study import taking
from evae.study.data_card import card
from evae.study.holdings import Checked
from evae.study.longer import SUFFIX

CARD = "README.md"
PICTURES = ("images", "clouds")
LEFT_OUT = ("slot", "reason", "traceback", "launch_s", "restarts", *ORIGIN)
"""Columns that say more of the machines and their users than of the trials."""


def export(checked: Checked, to: str, licence: str, weights: bool = False, pictures: bool = False) -> tuple[Store, int]:
    """Write the trials in which nothing is wrong to a new folder or URI, each training once, with their `weights` and
    `pictures` if wanted; it and their number. Weights that cannot be read to their end are named as a problem.

    Raises UserError where something is there already.
    """
    target, written = _new(to), set()
    kinds = ("epochs", *PICTURES) if pictures else ("epochs",)
    for store, row in checked.fine:
        if row["identity"] not in written:
            written.add(row["identity"])
            _copy(store, target, row, row["identity"], kinds, weights, checked.problems)
    compact(target, 1)
    target.write_bytes("", CARD, card(target, len(written), licence).encode())
    return target, len(written)


def take_in(checked: Checked, to: str) -> tuple[Store, int]:
    """Copy the trials of a data set beside others, with all that it has of them. Raises UserError where something is
    wrong, or there already."""
    if checked.problems:
        more = f", and {len(checked.problems) - 3} more" if checked.problems[3:] else ""
        raise UserError(f"it is refused as it is: {'; '.join(checked.problems[:3])}{more}")
    target = _new(to)
    for store, row in checked.fine:
        _copy(store, target, row, row["trial"], ("epochs", *PICTURES), True, checked.problems)
    compact(target, 1)
    return target, len(checked.fine)


def _new(to: str) -> Store:
    target = Store(to)
    if target.files("trials") or target.compacted("trials") or target.read_bytes("", CARD) is not None:
        raise UserError(f"{target.location} holds something already: give another folder")
    target.prepare()
    return target


def _copy(
    source: Store,
    target: Store,
    row: Mapping[str, Any],
    name: str,
    kinds: Sequence[str],
    weights: bool,
    problems: list[str],
) -> None:
    """What there is of a trial, and then its row, under this name."""
    if not name.replace("-", "").isalnum():
        raise UserError(f"{name!r} is no name of a trial")
    trial, recipe = row["trial"], _public(json.loads(row["recipe"]))
    for kind in kinds:
        if rows := source.rows(kind, trial):
            target.write(kind, name, [each | {"trial": name} for each in rows])
    if weights and (data := _weights(source, row, problems)) is not None:
        from evae.checkpoints import with_recipe  # imports torch

        target.write_bytes("weights", f"{name}{SUFFIX}", with_recipe(data, recipe))
    kept = taking.completed(row, next(iter(source.rows(measures.KIND, trial)), None))
    kept = {key: value for key, value in kept.items() if key not in LEFT_OUT}
    kept["study"] = row.get("taken_study") or row.get("study")
    target.write("trials", name, [kept | {"trial": name, "recipe": to_json(recipe)}])


def _weights(source: Store, row: Mapping[str, Any], problems: list[str]) -> bytes | None:
    """Those that were kept of a trial; None where there are none that can be used."""
    try:
        return taking.weights(source, row["trial"], row, row["identity"])
    except taking.Refused as error:
        problems.append(f"the weights of {row['trial']} of {source.location}: {error}")
        return None


def _public(recipe: dict[str, Any]) -> dict[str, Any]:
    """A recipe whose images lie in a folder or bucket of somebody's, without that place: what they are, their digest
    says, and a trial's identity goes by that."""
    source = str(recipe["data"].get("source", ""))
    kind, colon, place = source.partition(":")
    if not colon:
        return recipe
    name = redacted(place).rstrip("/").rpartition("/")[2]
    return recipe | {"data": recipe["data"] | {"source": f"{kind}:{name}"}}
