"""Which configurations deserve another replicate: those near the front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from evae.recipe import Recipe
from evae.search import noise
from evae.search.objectives import complete
from evae.search.pareto import signed

if TYPE_CHECKING:
    from evae.search.configuration import Configuration

ROOM = 256
"""Configurations that there is room for at first."""


def near_front(
    values: np.ndarray, groups: Sequence[object] | None = None, only: np.ndarray | None = None
) -> np.ndarray:
    """(n,) booleans: which configurations no other one beats by more than noise, as `noise.beaten` has it; `only` of
    these indices.

    `values` (n, seeds, objectives) are to be minimised, NaN where a configuration does not have that seed; each has one
    at least. `groups` (n,) may differ in their spread (`noise.of`). Before there are replicates nothing is known of the
    noise, and all are near.

    Why race: of many configurations measured once, those on the front are there partly by luck (the winner's curse),
    and only they matter for the result, so that seeds spent on them correct most. One that belongs on the front in
    truth is given up for another with a probability of at most 5 %, each time that one looks.
    """
    noises = [noise.of(of, groups) for of in np.moveaxis(values, 2, 0)]
    return ~noise.beaten(np.nanmean(values, axis=1), noises, only=only)


class Race:
    """The values that a search's configurations have by seed, kept up to date replicate by replicate: with 10,000
    configurations, gathering all of them whenever one ends would keep machines waiting."""

    def __init__(self, objectives: Sequence[tuple[str, str]]):
        self.objectives = objectives
        self._values = np.full((ROOM, 1, len(objectives)), np.nan)
        """(numbers of configurations, seeds, objectives) to be minimised, NaN where there are none."""
        self._groups = np.zeros(ROOM, int)
        self._within = np.zeros(ROOM, bool)
        self._keys: dict[int, str] = {}
        self._known: dict[tuple[str, str | None], int] = {}
        """Groups, as they came."""

    def note(self, configuration: Configuration, keeps: bool) -> None:
        """Take note of the replicates that have ended, and of whether the configuration `keeps` to the constraints."""
        number = configuration.number
        self._grow(number + 1, 1 + max(configuration.ended))
        for seed, row in configuration.ended.items():
            if complete([row], self.objectives):
                self._values[number, seed] = signed([row], self.objectives)
        self._groups[number] = self._known.setdefault(group(configuration.recipe), len(self._known))
        self._within[number], self._keys[number] = keeps, configuration.key

    def _grow(self, numbers: int, seeds: int) -> None:
        room, had, objectives = self._values.shape
        while room < numbers:
            room *= 2
        if (room, max(had, seeds)) != self._values.shape[:2]:
            values = np.full((room, max(had, seeds), objectives), np.nan)
            values[: len(self._values), :had] = self._values
            more = (0, room - len(self._values))
            self._values, self._groups, self._within = values, np.pad(self._groups, more), np.pad(self._within, more)

    def near(self, among: Configuration | None = None) -> list[str]:
        """The keys of the configurations near the front, by number; of one alone where it is given."""
        numbers = np.flatnonzero(self._within & np.isfinite(self._values).any(axis=(1, 2)))
        asked = numbers if among is None else numbers[numbers == among.number]
        if not len(asked):
            return []
        values = self._values[numbers]
        values = values[:, np.isfinite(values).any(axis=(0, 2))]
        near = near_front(values, self._groups[numbers], np.searchsorted(numbers, asked))
        return [self._keys[number] for number in asked[near].tolist()]


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
