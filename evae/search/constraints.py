"""Constraints: what a configuration must keep to, in the language of a command line.

    encoder_parameters <= 8e6
    encode_images_per_s >= 400

Of what a recipe itself says (`evae.metrics.cost.EXACT`), a configuration that does not keep to it is never trained. Of
what has to be measured, it is trained and shown, but not ranked, and the search learns to keep away from it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from evae.errors import UserError, unknown
from evae.metrics.base import METRICS
from evae.metrics.cost import EXACT
from evae.search.objectives import counted, labels_of, objective_column

if TYPE_CHECKING:
    import optuna

FAR = 1e6
"""What a constraint counts as broken by at most: Optuna adds them up."""
EXAMPLE = '"encoder_parameters <= 8e6"'


@dataclass(frozen=True)
class Constraint:
    """A metric (its column on the test split) that is to be at most, or where not `most` at least, `limit`."""

    text: str
    metric: str
    most: bool
    limit: float

    @property
    def exact(self) -> bool:
        """Whether it is known before training."""
        return self.metric in EXACT

    def violation(self, value: float) -> float:
        """By how much a value does not keep to it, in units of the limit: 0 or less where it does; infinite for NaN."""
        by = value - self.limit if self.most else self.limit - value
        return math.inf if math.isnan(by) else by / (abs(self.limit) or 1.0)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def parse(texts: Sequence[str], features_column: str, density: str | None = None) -> list[Constraint]:
    """The constraints of a command line. Raises UserError for what cannot be read, for a metric that is not there, with
    the nearest that is, and for two that no value keeps to."""
    found = [_parsed(text, features_column, density) for text in texts]
    for low in (each for each in found if not each.most):
        for high in (each for each in found if each.most and each.metric == low.metric):
            if low.limit > high.limit:
                raise UserError(f"no value keeps to both {low.text!r} and {high.text!r}: leave one out")
    return found


def _parsed(text: str, features_column: str, density: str | None) -> Constraint:
    read = re.fullmatch(r"\s*(\w+)\s*(<=|>=|<|>|==?)\s*(\S+)\s*", text)
    try:
        name, sign, limit = read[1], read[2], float(read[3])
    except (TypeError, ValueError):
        raise UserError(f"the constraint {text!r} cannot be read; write it like {EXAMPLE}") from None
    if sign not in ("<=", ">=") or not math.isfinite(limit):
        raise UserError(f"the constraint {text!r} needs <= or >= and a finite number, as {EXAMPLE} has")
    plain = {column for one in METRICS.values() if one.name not in ("fid", "kid") for column in one.columns}
    if name not in plain and not labels_of(name):
        raise unknown("metric in a constraint", name, plain)
    if name.startswith("xpd_") and density is None:
        raise UserError(f"the constraint {text!r} is about samples from an ex-post density: add --densities mixture")
    column = objective_column(name, features_column, density)
    return Constraint(f"{name} {sign} {limit:.12g}", column, sign == "<=", limit)


def violations(rows: Iterable[Mapping[str, Any]], constraints: Iterable[Constraint]) -> list[float]:
    """By how much the mean of these finished trials of a configuration, on the validation split, does not keep to each
    constraint: infinitely where there are none."""
    rows = list(rows)
    found = []
    for each in constraints:
        values = [counted(row, f"val_{each.metric}") for row in rows] or [math.nan]
        found.append(each.violation(sum(values) / len(values)))
    return found


def keeps(rows: Iterable[Mapping[str, Any]], constraints: Iterable[Constraint]) -> bool:
    """Whether the mean of these finished trials of a configuration keeps to all constraints."""
    return all(by <= 0 for by in violations(rows, constraints))


def tell_violations(trial: optuna.trial.Trial, constraints: Iterable[Constraint], by: Iterable[float]) -> None:
    """Tell Optuna by how much a configuration breaks each constraint."""
    for text, far in bounded(constraints, by).items():
        trial.set_constraint(text, far)


def bounded(constraints: Iterable[Constraint], by: Iterable[float]) -> dict[str, float]:
    """By how much each constraint is broken, by its text, as Optuna is told of it."""
    return {each.text: min(far, FAR) for each, far in zip(constraints, by, strict=True)}
