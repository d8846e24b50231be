"""Constraints: what a configuration must keep to, in the language of a command line.

    encoder_parameters <= 8e6
    encode_images_per_s >= 400

Of what a recipe itself says (`evae.metrics.cost.EXACT`), a configuration that does not keep to it is never trained. Of
what has to be measured, it is trained and shown, but not ranked, and the search learns to keep away from it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from evae.errors import UserError, unknown
from evae.metrics.base import METRICS
from evae.metrics.cost import EXACT
from evae.recipe import Recipe
from evae.search.objectives import counted, labels_of, objective_column
from evae.search.space import Space

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
    return Constraint(f"{name} {sign} {limit:g}", objective_column(name, features_column, density), sign == "<=", limit)


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


class Exact:
    """What recipes for images of this shape say of the exact ones among `constraints`, before anything is trained."""

    def __init__(self, constraints: Iterable[Constraint], image_size: int, channels: int):
        self.constraints = [each for each in constraints if each.exact]
        self._names = [each.metric for each in self.constraints]
        self._shape = image_size, channels
        self._known: dict[Hashable, Mapping[str, float]] = {}

    def violations(self, recipe: Recipe) -> list[float]:
        """By how much a recipe does not keep to each of them."""
        return [each.violation(self._values(recipe)[each.metric]) for each in self.constraints]

    def keeps(self, recipe: Recipe) -> bool:
        """Whether a recipe keeps to all of them."""
        return all(by <= 0 for by in self.violations(recipe))

    def restrict(self, space: Space, recipes: Sequence[Recipe]) -> tuple[Space, list[str]]:
        """The space without the controls that do not keep to the constraints, and what is to be said of these;
        `recipes` are some of the space's, those of its controls first.

        Raises UserError where none of the recipes keeps to all: a sampler would look for what is not there.
        """
        if not self.constraints:
            return space, []
        said = " and ".join(each.text for each in self.constraints)
        if not any(map(self.keeps, recipes)):
            raise UserError(
                f"no configuration can keep to {said}: of {len(recipes)} of this space, its controls among them, "
                f"{' and '.join(self._range(name, recipes) for name in self._names)}. Loosen --constraint, or give "
                "smaller networks, such as --size tiny."
            )
        kept = [self.keeps(recipe) for recipe in recipes[: len(space.controls)]]
        lost = [control.label for control, fine in zip(space.controls, kept, strict=True) if not fine]
        notes = [f"{label} is left out: it cannot keep to {said}" for label in lost]
        return replace(space, controls=tuple(c for c in space.controls if c.label not in lost)), notes

    def _range(self, name: str, recipes: Sequence[Recipe]) -> str:
        values = [self._values(recipe)[name] for recipe in recipes]
        return f"{name} is from {min(values):,.0f} to {max(values):,.0f}"

    def _values(self, recipe: Recipe) -> Mapping[str, float]:
        key: Hashable = recipe.network, recipe.latent, recipe.posterior.heads
        if "parameters" in self._names:  # of all that is learned
            key = *key, recipe.posterior, recipe.likelihood, recipe.prior
        if key not in self._known:
            from evae.cost import exact  # imports torch

            self._known[key] = exact(recipe, *self._shape, self._names)
        return self._known[key]
