"""Objectives: metrics with a direction, by the short names a user types."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from evae.errors import UserError, unknown
from evae.metrics.base import METRICS
from evae.metrics.names import density_side

DIVERGENCES = ("exact", "estimated")
"""What a rate has to be to compare with others: the KL divergence from the prior, or an unbiased estimate of it."""


DEFAULTS = {
    "images": ("gen_fd", "rec_sharpness_gap"),
    "signals": ("elbo_nats", "rec_r2"),
    "points": ("log_likelihood_nats", "bound_gap_nats"),
}
"""What is searched for where nothing is said, by the kind of data."""


def directions(kind: str = "images") -> dict[str, str]:
    """What can be searched for on data of this kind, by column, and which way is better: all metrics that have a
    direction.

    `fd` and `kd` stand for the Fréchet and the kernel distance on the study's features. Noise has more sharpness than
    real images; a search for the smallest sharpness gap does not mistake it for detail.
    """
    measured_as = "images" if kind == "signals" else kind
    taken = (one for one in METRICS.values() if one.direction and measured_as in one.kinds)
    return {column: one.direction for one in taken for column in one.columns}


def labels_of(name: str) -> int | None:
    """The number of training labels that an accuracy is taken with ("knn_accuracy_200"); None for other objectives."""
    stem, _, count = name.rpartition("_")
    is_accuracy = stem in METRICS and METRICS[stem].of == "labels" and count.isascii() and count.isdecimal()
    return int(count) if is_accuracy and count == str(int(count)) and int(count) else None


def direction(name: str) -> str | None:
    """Which way is better, of a metric by its short name; None where that is not known."""
    if labels_of(name):
        return METRICS[name.rpartition("_")[0]].direction
    return (directions() | directions("points")).get(name)


def check_kind(names: Iterable[str], kind: str) -> None:
    """Raise UserError for metrics, by their short names, that data of this kind do not have."""
    known = directions(kind)
    for name in names:
        if direction(name) and name not in known and not (labels_of(name) and kind != "points"):
            other = "images" if kind == "points" else "points"
            raise UserError(f"{name} is of {other}, and the data are {kind}: choose from {', '.join(sorted(known))}.")


def resolve_objectives(
    names: Sequence[str], features_column: str, density: str | None = None, kind: str = "images"
) -> list[tuple[str, str]]:
    """Short names to (column, "min" or "max"): "gen_fd" is the column of that distance on these features, "xpd_fd" that
    of samples from the ex-post `density` of that family.

    With the standard Inception features the columns are `gen_fid` and `gen_kid`. Raises UserError for a name that is
    not known, not of this `kind` of data, given twice, or when there is none.
    """
    if not names or len(set(names)) != len(names):
        raise UserError(f"give one objective or more, each once; got {', '.join(names) or 'none'}")
    check_kind(names, kind)
    known, resolved = directions(kind), []
    known |= {name: direction(name) for name in names if labels_of(name)}
    for name in names:
        if name not in known:
            raise unknown("objective", name, known)
        if name.startswith("xpd_") and density is None:
            raise UserError(f"{name} is of samples from an ex-post density: give one, such as --densities mixture")
        resolved.append((objective_column(name, features_column, density), known[name]))
    return resolved


def objective_column(name: str, features_column: str, density: str | None = None) -> str:
    """The metric column of an objective's short name."""
    kind, _, short = name.partition("_")
    if kind == "xpd" and density is not None:
        kind = density_side(density)
        name = f"{kind}_{short}"
    if short not in ("fd", "kd"):
        return name
    if features_column == "inception":
        return f"{kind}_{'fid' if short == 'fd' else 'kid'}"
    return f"{name}_{features_column}"


def complete(rows: Iterable[Mapping[str, Any]], objectives: Sequence[tuple[str, str]]) -> list[Mapping[str, Any]]:
    """The rows of finished trials that have a finite value of every objective."""
    return [
        row
        for row in rows
        if row["state"] == "finished" and all(math.isfinite(counted(row, metric)) for metric, _ in objectives)
    ]


def counted(row: Mapping[str, Any], metric: str) -> float:
    """What a trial's row, or an epoch's, counts with for a metric; NaN where it has none, and for a rate that is not
    the KL divergence: a bound in some paper's sense is another quantity, and the smaller of the two says nothing.
    """
    if metric.endswith("rate_nats") and row.get(metric.replace("rate_nats", "rate_is")) not in (None, *DIVERGENCES):
        return math.nan
    number = row.get(metric)
    return math.nan if number is None else float(number)


def means(rows: Sequence[Mapping[str, Any]], objectives: Sequence[tuple[str, str]]) -> list[float]:
    """The objectives' means over rows that have them."""
    return [sum(row[metric] for row in rows) / len(rows) for metric, _ in objectives]
