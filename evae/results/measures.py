"""What was measured of finished trials afterwards: a row for each in `measures/`, beside its row in `trials/`.

A trial's own row stays as the study wrote it. Its columns of later are read together with it (`Store.read("trials")`),
as long as both are of the same training: `OF` says of which they were taken. A value that the trial's own row has is
the one that is read, and so is its identity.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from evae.results.store import Store

KIND = "measures"
OF = ("trial", "epochs", "ended_at")
"""What a measure's row repeats of the trial's: once a trial is trained anew, what was measured of it before is void."""
OWN = (*OF, "measured_at", "device", "asked", "distances")
"""What is no value that was measured. `asked` lists the columns that were, also those that a trial turned out to have
no value of; `distances` holds identities, as in a trial's row."""


def of_trial(trial: Mapping[str, Any], measures: Mapping[str, Any] | None) -> dict[str, Any]:
    """A trial's measures, if they are of this training; empty if not."""
    same = measures is not None and all(measures.get(name) == trial.get(name) for name in OF)
    return dict(measures) if same else {}


def add(
    store: Store,
    trial: Mapping[str, Any],
    *,
    asked: Iterable[str],
    metrics: Mapping[str, float],
    distances: Mapping[str, Any],
    device: str,
) -> None:
    """Keep what was measured of a trial, by its row, beside what was before: values that are there stay."""
    before = of_trial(trial, next(iter(store.rows(KIND, trial["trial"])), None))
    known = identities(before) | {name: of for name, of in distances.items() if name not in identities(before)}
    row = {name: trial[name] for name in OF} | {"measured_at": datetime.now(UTC), "device": device}
    row |= dict(metrics) | {name: value for name, value in before.items() if name not in OWN and value is not None}
    row["asked"] = json.dumps(sorted({*json.loads(before.get("asked", "[]")), *asked}))
    store.write(KIND, trial["trial"], [row | {"distances": json.dumps(known, sort_keys=True)}])


def identities(row: Mapping[str, Any]) -> dict[str, Any]:
    """The identity of each distance and accuracy of a row; empty where none can be read."""
    return parsed(row.get("distances"))


def merged(trials: pa.Table, measures: pa.Table) -> pa.Table:
    """The trials with the columns that were measured afterwards. Those that they have stay as they are, but for the
    nulls in them."""
    if not {"trial", "ended_at", "epochs"} <= set(trials.column_names) & set(measures.column_names):
        return trials
    taken = {str(row["trial"]): row for row in measures.to_pylist()}
    keys = zip(*(trials.column(name).to_pylist() for name in OF), strict=True)
    found = [of_trial(dict(zip(OF, key, strict=True)), taken.get(str(key[0]))) for key in keys]
    for name in (name for name in measures.column_names if name not in OWN):
        trials = _filled(trials, name, [row.get(name) for row in found])
    return _filled(trials, "distances", [row.get("distances") for row in found], _united)


def _filled(
    trials: pa.Table, name: str, later: list[Any], one: Callable[[Any, Any], Any] = lambda own, later: own
) -> pa.Table:
    """The trials with this column: where both have a value, that which `one` makes of their own and the later one."""
    own = trials.column(name).to_pylist() if name in trials.column_names else [None] * len(later)
    both = [b if a is None else a if b is None else one(a, b) for a, b in zip(own, later, strict=True)]
    if both == own:
        return trials
    try:
        column = pa.array(both)
    except (pa.ArrowInvalid, pa.ArrowTypeError):  # the column of the trials is none of numbers, as ours are
        return trials
    if name not in trials.column_names:
        return trials.append_column(name, column)
    return trials.set_column(trials.column_names.index(name), name, column)


def _united(own: Any, later: Any) -> Any:
    """The identities of both as JSON; a trial's own as they are where they cannot be read."""
    both = parsed(own) and parsed(later)
    return json.dumps(parsed(later) | parsed(own), sort_keys=True) if both else own


def parsed(text: Any) -> dict[str, Any]:
    """What a column of JSON says; empty where it is none, or no object."""
    try:
        found = json.loads(text)
    except (TypeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
