"""Finished trials as one data set that another lab can use as its pool: Parquet and a card, without secrets."""

import json
import math
from collections.abc import Mapping
from typing import Any

import evae
from evae.errors import UserError
from evae.results.compaction import compact
from evae.results.places import redacted
from evae.results.store import Store, to_json
from evae.study.holdings import Checked
from evae.study.taking import ORIGIN

CARD = "README.md"
LEFT_OUT = ("slot", "reason", "traceback", "launch_s", "restarts", *ORIGIN)
"""Columns that say more of the machines and their users than of the trials."""
SIZES = {1e3: "n<1K", 1e4: "1K<n<10K", 1e5: "10K<n<100K", 1e6: "100K<n<1M", math.inf: "1M<n<10M"}
"""What cards call a number of rows."""
COLUMNS = {
    "trial": "its identity: what training it is, by recipe, data and arithmetic",
    "study": "the study that trained it",
    "recipe": "everything that defines the training, as JSON; the folder of own images is left out",
    "data_digest": "of the content of the images",
    "numerics": "the version of evae's numbers",
    "precision": "the arithmetic of the networks",
    "device": "what it ran on, with `processor`, `threads` and `workers`: the same gives the same values",
    "val_...": "a metric on the validation split; without it, on the test split",
    "distances": "the identity of each distance: network, tap, counts, split, as JSON",
}


def export(checked: Checked, to: str, licence: str) -> tuple[Store, int]:
    """Write the trials in which nothing is wrong to a new folder or URI, each training once; it and their number.

    Raises UserError where something is there already.
    """
    target = _new(to)
    written: set[str] = set()
    for store, row in checked.fine:
        if row["identity"] not in written:
            written.add(row["identity"])
            _copy(store, target, row, row["identity"])
    compact(target, 1)
    target.write_bytes("", CARD, _card(target, len(written), licence).encode())
    return target, len(written)


def take_in(checked: Checked, to: str) -> tuple[Store, int]:
    """Copy the trials of a data set beside others. Raises UserError where something is wrong, or there already."""
    if checked.problems:
        more = f", and {len(checked.problems) - 3} more" if checked.problems[3:] else ""
        raise UserError(f"it is refused as it is: {'; '.join(checked.problems[:3])}{more}")
    target = _new(to)
    for store, row in checked.fine:
        _copy(store, target, row, row["trial"])
    compact(target, 1)
    return target, len(checked.fine)


def _new(to: str) -> Store:
    target = Store(to)
    if target.files("trials") or target.compacted("trials") or target.read_bytes("", CARD) is not None:
        raise UserError(f"{target.location} holds something already: give another folder")
    target.prepare()
    return target


def _copy(source: Store, target: Store, row: Mapping[str, Any], name: str) -> None:
    """A trial's epochs, and then its row, under this name."""
    if not name.replace("-", "").isalnum():
        raise UserError(f"{name!r} is no name of a trial")
    epochs = source.rows("epochs", row["trial"])
    if epochs:
        target.write("epochs", name, [epoch | {"trial": name} for epoch in epochs])
    kept = {key: value for key, value in row.items() if key not in LEFT_OUT}
    kept["study"] = row.get("taken_study") or row.get("study")
    target.write("trials", name, [kept | {"trial": name, "recipe": to_json(_public(json.loads(row["recipe"])))}])


def _public(recipe: dict[str, Any]) -> dict[str, Any]:
    """A recipe whose images lie in a folder or bucket of somebody's, without that place: what they are, their digest
    says, and a trial's identity goes by that."""
    source = str(recipe["data"].get("source", ""))
    kind, colon, place = source.partition(":")
    if not colon:
        return recipe
    name = redacted(place).rstrip("/").rpartition("/")[2]
    return recipe | {"data": recipe["data"] | {"source": f"{kind}:{name}"}}


def _card(target: Store, count: int, licence: str) -> str:
    rows = target.columns("trials", ["study", "data_digest", "device", "numerics"]).to_pylist()

    def of(name: str) -> str:
        return ", ".join(sorted({str(row.get(name)) for row in rows}))

    size = next(name for most, name in SIZES.items() if count < most)
    kinds = "\n".join(f"- config_name: {kind}\n  data_files: {kind}/*/*.parquet" for kind in ("trials", "epochs"))
    columns = "\n".join(f"| `{name}` | {meaning} |" for name, meaning in COLUMNS.items())
    # JSON text is YAML too, whatever the licence's name has in it.
    return (
        f"---\nlicense: {json.dumps(licence)}\ntags:\n- vae\n- hyperparameters\nsize_categories:\n- {size}\n"
        f"configs:\n{kinds}\n---\n\n# {count} trained variational autoencoders\n\n"
        f"Finished trials of evae {evae.__version__} ({of('study')}), each training once: `trials` has a row for each, "
        "`epochs` the course of its losses. Weights and pictures are not in it.\n\n"
        "    evae pool check FOLDER\n    evae study kernel-sweep --pool FOLDER\n\n"
        f"Data digests: {of('data_digest')}. Devices: {of('device')}. Numbers of version: {of('numerics')}.\n\n"
        f"| column | what it is |\n| --- | --- |\n{columns}\n"
    )
