"""Which named configurations mean the same in several studies, so that their effects compare."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.study.load import StudyData, parse

ASIDE = ("data", "seed")
"""Parts of a recipe that differ between studies of different data, and between replicates."""


@dataclass(frozen=True)
class Described:
    """A named configuration by its parameters and by its recipe, both flat ("posterior.beta"), the latter without data
    and seed, and empty where a store has none."""

    params: dict[str, object]
    recipe: dict[str, object]

    def against(self, other: "Described", by_recipe: bool) -> dict[str, tuple[object, object]]:
        """What is otherwise than in another configuration of the same study: its own value and the other's."""
        own, its = (self.recipe, other.recipe) if by_recipe else (self.params, other.params)
        return {key: (own.get(key), its.get(key)) for key in sorted({*own, *its}) if own.get(key) != its.get(key)}


def described(study: StudyData, table: pd.DataFrame) -> dict[str, Described]:
    """Of each label: `table` are rows of `tables.configurations`, by label."""
    recipes = study.trials.drop_duplicates("configuration").set_index("configuration")["recipe"]
    found = {}
    for label, row in table.iterrows():
        recipe = parse(recipes[row["configuration"]], {})
        found[label] = Described(
            dict(_flat(row["params"])), dict(_flat({k: part for k, part in recipe.items() if k not in ASIDE}))
        )
    return found


def _flat(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _flat(part, f"{path}.{key}" if path else str(key))
    else:
        yield path, value


def agreeing(
    names: Sequence[str], studies: Sequence[dict[str, Described]], reference: str
) -> tuple[list[set[str]], list[str]]:
    """(for each study, its labels that mean the same as in the first study that has them; sentences about the rest).

    They do where what a configuration has otherwise than the reference is the same, by recipe, or by parameters where
    a store has no recipes. What reference and configuration have in common, as their epochs, may be another in another
    study: that is only told.
    """
    by_recipe = all(one.recipe for study in studies for one in study.values())
    kept: list[set[str]] = []
    said: list[str] = []
    first: dict[str, tuple[str, dict[str, tuple[object, object]]]] = {}
    for name, study in zip(names, studies, strict=True):
        kept.append(set())
        if reference not in study:
            said.append(f"{name} is left out: it has no {reference} to hold the others against.")
            continue
        for label, one in study.items():
            here = one.against(study[reference], by_recipe)
            where, there = first.setdefault(label, (name, here))
            other = [key for key in sorted({*here, *there}) if here.get(key) != there.get(key)]
            if other:
                each = (_shown(contrast.get(other[0])) for contrast in (here, there))
                said.append(f"{label} of {name} is left out: {other[0]} is {next(each)}, in {where} {next(each)}.")
            else:
                kept[-1].add(label)
    return kept, said + _set_up({n: s[reference].recipe for n, s in zip(names, studies, strict=True) if reference in s})


def _shown(pair: tuple[object, object] | None) -> str:
    return "the reference's" if pair is None else f"{pair[0]} against the reference's {pair[1]}"


def _set_up(recipes: dict[str, dict[str, object]]) -> list[str]:
    """What the reference's recipe has otherwise in one study than in another."""
    found = []
    for key in sorted({key for recipe in recipes.values() for key in recipe}):
        values: dict[str, list[str]] = {}
        for name in (name for name, recipe in recipes.items() if recipe):
            values.setdefault(str(recipes[name].get(key)), []).append(name)
        if len(values) > 1:
            found.append(f"{key} ({', '.join(f'{value} in {_and(of)}' for value, of in values.items())})")
    return [f"The studies also differ in {', '.join(found)}."] if found else []


def _and(names: Sequence[str]) -> str:
    return " and ".join(names)
