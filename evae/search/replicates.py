"""Which configurations deserve another replicate: those near the front."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evae.recipe import Recipe
from evae.search import noise
from evae.search.objectives import complete
from evae.search.pareto import signed


def near_front(values: np.ndarray, groups: Sequence[object] | None = None) -> np.ndarray:
    """(n,) booleans: which configurations no other one beats by more than noise, as `noise.beaten` has it.

    `values` (n, seeds, objectives) are to be minimised, NaN where a configuration does not have that seed; each has one
    at least. `groups` (n,) may differ in their spread (`noise.of`). Before there are replicates nothing is known of the
    noise, and all are near.

    Why race: of many configurations measured once, those on the front are there partly by luck (the winner's curse),
    and only they matter for the result, so that seeds spent on them correct most. One that belongs on the front in
    truth is given up for another with a probability of at most 5 %, each time that one looks.
    """
    return ~noise.beaten(np.nanmean(values, axis=1), [noise.of(of, groups) for of in np.moveaxis(values, 2, 0)])


def unbeaten(
    ended: Mapping[str, Mapping[int, Mapping[str, Any]]],
    recipes: Mapping[str, Recipe],
    objectives: Sequence[tuple[str, str]],
) -> list[str]:
    """The keys of the configurations near the front; arguments as those of `by_seed`."""
    keys, values, groups = by_seed(ended, recipes, objectives)
    return [key for key, near in zip(keys, near_front(values, groups), strict=True) if near] if keys else []


def by_seed(
    ended: Mapping[str, Mapping[int, Mapping[str, Any]]],
    recipes: Mapping[str, Recipe],
    objectives: Sequence[tuple[str, str]],
) -> tuple[list[str], np.ndarray, list[tuple[str, str | None]]]:
    """(keys, their values (n, seeds, objectives) to be minimised, NaN where there are none, their `group`) of the
    configurations with values: `ended` are the rows of each one's trials by seed, of which those count that have all
    `objectives`."""
    rows = {key: {seed: row for seed, row in of.items() if complete([row], objectives)} for key, of in ended.items()}
    keys = [key for key, of in rows.items() if of]
    places = {seed: i for i, seed in enumerate(sorted({seed for of in rows.values() for seed in of}))}
    values = np.full((len(keys), len(places), len(objectives)), np.nan)
    for i, key in enumerate(keys):
        values[i, [places[seed] for seed in rows[key]]] = signed(list(rows[key].values()), objectives)
    return keys, values, [group(recipes[key]) for key in keys]


def group(recipe: Recipe) -> tuple[str, str | None]:
    """The method and kernel of a configuration, which may have a spread of their own."""
    return recipe.posterior.family, getattr(recipe.posterior, "kernel", None)
