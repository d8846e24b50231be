"""Which configurations deserve fresh seeds, once the search has chosen among them.

Of many configurations the one that looks best has been lucky, too (the winner's curse), and another split of the images
does not show it: both splits see the same training. Seeds that took no part in the choice do: what they measure of a
chosen configuration is unbiased, and its interval needs no allowance for the choice. This is the sample splitting of
Cox, A note on data-splitting for the evaluation of significance levels, Biometrika 62 (1975), 441-444.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from evae.search.constraints import Constraint
from evae.search.pareto import nondominated
from evae.search.replicates import unbeaten

if TYPE_CHECKING:
    from evae.search.configuration import Configuration
    from evae.search.space import Control

OF_A_RACE = 2
"""Fresh seeds that a race begins with: with one each, nothing is known of their spread."""


@dataclass(frozen=True)
class Confirmation:
    """`seeds` fresh seeds for each configuration that was chosen by the `objectives`, (metric, "min" or "max").

    What does not keep to the `constraints` is not chosen. With `race` they are for those that may still be on the front
    of the confirmed: each gets two, and these then one by one the next.
    """

    seeds: int
    objectives: Sequence[tuple[str, str]]
    race: bool = False
    constraints: Sequence[Constraint] = ()

    @property
    def at_first(self) -> int:
        """Fresh seeds that each chosen configuration gets in any case."""
        return min(self.seeds, OF_A_RACE) if self.race else self.seeds

    def wanted(self, configurations: Mapping[str, Configuration]) -> dict[str, int]:
        """How many fresh seeds each configuration deserves, by its key: those it has, and those that it gets next. A
        seed that was lost counts: another one in its place would be a choice again.
        """
        keys = chosen(configurations, self.objectives, self.constraints)
        if self.at_first == self.seeds:
            return dict.fromkeys(keys, self.seeds)
        had = {key: max(self.at_first, len(configurations[key].fresh)) for key in keys}
        if any(len(configurations[key].fresh) < self.at_first for key in keys):
            return had
        fresh, recipes = ({key: getattr(configurations[key], part) for key in keys} for part in ("fresh", "recipe"))
        near = unbeaten(fresh, recipes, self.objectives)
        fewest = min((had[key] for key in near), default=self.seeds)
        return had | {key: min(self.seeds, fewest + 1) for key in near if had[key] == fewest}


def is_control(of: Configuration | Control) -> bool:
    """Whether it is a known model to compare with, neither searched nor a point of a grid."""
    return of.label is not None and of.origin != "grid"


def chosen(
    configurations: Mapping[str, Configuration],
    objectives: Sequence[tuple[str, str]],
    constraints: Sequence[Constraint] = (),
) -> list[str]:
    """The keys of the configurations on the front, of the controls, and of the best of each method and of each kernel
    in each objective, in order of suggestion: by the means over the search's replicates. What has no finite value of
    every objective is not among them, and neither is what does not keep to the `constraints`, but for controls.
    """
    standing = {key: c.standing(objectives, constraints) for key, c in configurations.items()}
    keys = [key for key, found in standing.items() if found.means is not None]
    if not keys:
        return []
    signs = [1.0 if direction == "min" else -1.0 for _, direction in objectives]
    means = np.array([standing[key].means for key in keys]) * signs
    within = np.array([all(by <= 0 for by in standing[key].violations) for key in keys])
    found, groups = np.zeros(len(keys), bool), defaultdict(list)
    found[within] = nondominated(means[within])
    for i, key in enumerate(keys):
        configuration = configurations[key]
        found[i] |= is_control(configuration)
        if not within[i]:
            continue
        posterior = configuration.recipe.posterior
        groups["method", posterior.family].append(i)
        groups["kernel", getattr(posterior, "kernel", None)].append(i)
    for members in groups.values():
        found[np.array(members)[means[members].argmin(axis=0)]] = True
    return [key for key, is_chosen in zip(keys, found, strict=True) if is_chosen]
