"""How far a value may lie from the one that a row has, where a training is as close to it as another seed's is."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import special

from evae.search import noise

Row = Mapping[str, Any]


def limits(rows: Iterable[Row], of: Row, again: Mapping[str, Any], names: Sequence[str], tail: float) -> dict[str, Any]:
    """By name, the distance from the value of the row `of` that a training `again` of the same recipe exceeds with a
    probability of `tail`, to one side, if it lies as another seed's would. Names of which no configuration has two
    seeds are left out.

    The two are then independent values of one normal distribution, whose difference has sqrt(2) times the standard
    deviation of a trial. That is estimated from finished `rows` of trainings on the same images with the same
    arithmetic: own replicates where there are any, shrunk towards what configurations with several seeds share
    (`noise.of`), with its degrees of freedom in Student's t. The row in question takes no part, so that a value that
    was made up does not make its own room.
    """
    configurations: dict[str, dict[int, Row]] = {_configuration(of): {}}
    for row in rows:
        alike = all(row.get(name) == of.get(name) for name in ("data_digest", "precision", "numerics"))
        if alike and row["identity"] != of["identity"]:
            configurations.setdefault(_configuration(row), {})[row["seed"]] = row
    # Where the configuration has no other seed, the new value says how large it is; alone it says nothing of a spread.
    own = configurations[_configuration(of)] or {of["seed"]: again}
    groups = [own, *list(configurations.values())[1:]]
    seeds = sorted({seed for group in groups for seed in group})
    found = {}
    for name in names:
        known = noise.of(np.array([[_number(group.get(seed, {}).get(name)) for seed in seeds] for group in groups]))
        count = sum(math.isfinite(_number(row.get(name))) for row in own.values())
        if count and known.freedom[0] and math.isfinite(known.error[0]):
            of_difference = math.sqrt(2 * count) * float(known.error[0])
            found[name] = float(special.stdtrit(known.freedom[0], 1 - tail)) * of_difference
    return found


def _configuration(row: Row) -> str:
    """The training without its seed."""
    recipe = json.loads(row["recipe"])
    return json.dumps({name: value for name, value in recipe.items() if name not in ("seed", "evaluation", "data")})


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else math.nan
