"""Which trained model of a study is meant: the best in a metric, or the one of a name; and what is known of it."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evae.errors import UserError, unknown
from evae.metrics.names import DEFAULT_FEATURES, features_column
from evae.results import measures
from evae.results.finished import with_weights
from evae.results.store import Store
from evae.search import noise
from evae.search.job import is_fresh
from evae.search.objectives import counted, direction, directions, labels_of, objective_column

Row = Mapping[str, Any]
INCEPTION = "inception"


@dataclass(frozen=True)
class Value:
    """A metric of the exported model: its `own` value, and the `mean` over the `seeds` of its configuration, of which
    the truth is within `half` with a confidence of 95 % (NaN where no configuration has two seeds). `identity` says
    how it was taken."""

    column: str
    direction: str
    own: float
    mean: float
    half: float
    seeds: int
    fresh: bool
    identity: Mapping[str, Any]


@dataclass(frozen=True)
class Chosen:
    """A finished trial with weights, its study's manifest, why it was chosen, and its values."""

    row: Row
    manifest: Row
    why: str
    values: tuple[Value, ...]


def best(store: Store, metric: str) -> Chosen:
    """The trial to export for a metric: of the configuration that is best by the mean over the search's seeds on the
    validation split, the seed that is best there. Where a metric has no such values, its own split ranks.

    Raises UserError for a metric that the study does not have, with the nearest that it has, and where there is no
    finished trial, or none with weights.
    """
    finished = _finished(store)
    kept = with_weights(store, finished)
    names = _names(finished)
    if metric not in names:
        raise unknown(f"metric of {store.location}:", metric, names)
    column, better = names[metric]
    by = f"val_{column}" if any(_finite(row, f"val_{column}") for row in finished) else column
    ranking = [row for row in finished if not is_fresh(row) and _finite(row, by)] or finished
    means = _means(ranking, by)
    sign = -1.0 if better == "max" else 1.0
    configuration = min(means, key=lambda name: (sign * means[name][0], name))
    own = [row for row in kept if row["configuration"] == configuration and _finite(row, by)]
    if not own:
        raise UserError(
            f"the weights of {store.location}'s best configuration in {metric}, {_name(ranking, configuration)}, are "
            f"not there, but those of {len(kept)} other trials are: name one of them with --trial."
        )
    row = min(own, key=lambda row: (sign * counted(row, by), row["trial"]))
    mean, seeds = means[configuration]
    others = f" of {len(means)} configurations"
    why = f"{'highest' if better == 'max' else 'lowest'} mean {by} ({mean:.6g}, {_seeds(seeds)}){others}"
    return Chosen(row, _manifest(store), why, _values(finished, row, first=column))


def named(store: Store, trial: str) -> Chosen:
    """The trial of that name. Raises UserError as `best` does."""
    finished = _finished(store)
    kept = {row["trial"]: row for row in with_weights(store, finished)}
    if trial not in kept:
        raise unknown(f"finished trial with weights of {store.location}:", trial, kept)
    return Chosen(kept[trial], _manifest(store), "named by whoever exported it", _values(finished, kept[trial]))


def _manifest(store: Store) -> dict[str, Any]:
    sessions = store.rows("study")
    return max(sessions, key=lambda row: row["session"]) if sessions else {}


def _finished(store: Store) -> list[Row]:
    """The finished trials, with what was measured of them afterwards."""
    store.rows("trials")  # raises StoreError for those that cannot be read
    store.rows(measures.KIND)
    rows = store.read("trials").to_pylist()
    if not rows and not store.rows("study"):
        raise UserError(
            f"no study in {store.location!r}: give the results folder of a study, for example results/kernel-sweep"
        )
    return [row for row in rows if row["state"] == "finished"]


def _names(rows: Sequence[Row]) -> dict[str, tuple[str, str]]:
    """(column, which way is better) of each metric that has a finite value, by its short name and by its column's."""
    found: dict[str, tuple[str, str]] = {}
    for features, density in dict.fromkeys(pair for row in rows for pair in _measured_with(row)):
        for short, better in (directions("images") | directions("points")).items():
            column = objective_column(short, features, density)
            if any(_finite(row, column) for row in rows):
                found.setdefault(short, (column, better))
                found[column] = column, better
    for name in {name for row in rows for name in row if labels_of(name)}:
        if any(_finite(row, name) for row in rows):
            found[name] = name, direction(name) or "max"
    return found


def _measured_with(row: Row) -> list[tuple[str, str | None]]:
    """The features, and the ex-post densities, that a trial's columns may be named after."""
    try:
        evaluation = json.loads(row["recipe"])["evaluation"]
    except (KeyError, TypeError, ValueError):
        evaluation = {}
    own = features_column(evaluation.get("features", DEFAULT_FEATURES))
    known = list(dict.fromkeys(_families(row, evaluation))) or [None]
    return [(features, density) for features in (own, INCEPTION) for density in known]


def _families(row: Row, evaluation: Row) -> list[str]:
    given = [each["family"] for each in evaluation.get("densities", [{"family": "mixture"}])]
    later = [of["density"]["family"] for of in measures.identities(row).values() if isinstance(of.get("density"), dict)]
    return given + later


def _finite(row: Row, column: str) -> bool:
    value = row.get(column)
    return isinstance(value, int | float) and math.isfinite(counted(row, column))


def _means(rows: Sequence[Row], column: str) -> dict[str, tuple[float, int]]:
    """(mean, number of seeds) of each configuration."""
    values: dict[str, list[float]] = {}
    for row in rows:
        if _finite(row, column):
            values.setdefault(row["configuration"], []).append(counted(row, column))
    return {name: (float(np.mean(each)), len(each)) for name, each in values.items()}


def _values(finished: Sequence[Row], row: Row, first: str = "") -> tuple[Value, ...]:
    """What was measured of the test split, `first` before the rest: of fresh seeds where the configuration has some."""
    confirmed = {each["configuration"] for each in finished if is_fresh(each)}
    shown = [each for each in finished if is_fresh(each) == (each["configuration"] in confirmed)]
    columns = dict(sorted(_names([row]).values(), key=lambda pair: (pair[0] != first, pair[0])))
    known = measures.identities(row)
    found = []
    for column, better in columns.items():
        mean, seeds = _means(shown, column).get(row["configuration"], (counted(row, column), 1))
        half, fresh = _half(shown, column, row["configuration"]), row["configuration"] in confirmed
        found.append(Value(column, better, counted(row, column), mean, half, seeds, fresh, known.get(column, {})))
    return tuple(found)


def _half(rows: Sequence[Row], column: str, configuration: str) -> float:
    """Half a 95 % interval of the configuration's mean, by the noise model of the report."""
    names = list(dict.fromkeys(row["configuration"] for row in rows))
    seeds = sorted({row["seed"] for row in rows})
    values, groups = np.full((len(names), len(seeds)), np.nan), [("", "")] * len(names)
    value = _spreading(column)
    for row in rows:
        place = names.index(row["configuration"])
        values[place, seeds.index(row["seed"])] = value(row)
        groups[place] = row.get("method") or "", row.get("param_kernel") or ""
    if configuration not in names:
        return math.nan
    return float(noise.of(values, groups).half(noise.ERROR / 2)[names.index(configuration)])


def _spreading(column: str) -> Callable[[Row], float]:
    """What of a row tells how `column` spreads between seeds: a sharpness gap as the ratio that it is taken of."""
    raw, real = column.removesuffix("_gap"), "real_sharpness"

    def ratio(row: Row) -> float:
        known = _finite(row, raw) and _finite(row, real) and row[real]
        return row[raw] / row[real] if known else math.nan

    return ratio if column.endswith("_sharpness_gap") else lambda row: counted(row, column)


def _name(rows: Sequence[Row], configuration: str) -> str:
    row = next(row for row in rows if row["configuration"] == configuration)
    return row["label"] or f"configuration {row['number']}"


def _seeds(count: int) -> str:
    return f"{count} seed{'' if count == 1 else 's'}"
