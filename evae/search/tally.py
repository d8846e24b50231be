"""How far a search is, counted as it goes on: with 10,000 configurations, looking at all of them whenever a trial ends
would keep machines waiting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evae.search.confirmation import is_control
from evae.search.job import FIRST_FRESH

if TYPE_CHECKING:
    from evae.search.configuration import Configuration
    from evae.search.searcher import StudySearcher

AGAIN = 1.01
"""Until the search has heard of all configurations, fresh seeds are planned anew once it has heard of so many times as
many: that takes a look at all of them."""


class Tally:
    """The search's replicates that are `wanted`, and trials that have `ended`; `fresh` seeds that were asked for or are
    there; how many configurations Optuna was `told` of, which have values (`known`), and which of these keep to the
    constraints (`within`), by their keys."""

    def __init__(self) -> None:
        self.wanted = self.ended = self.fresh = self.told = 0
        self.known: set[str] = set()
        self.within: set[str] = set()
        self.planned_at = (0, 0)
        """How many were told of when the fresh seeds were last planned, and how many these were."""

    def take_over(self, configuration: Configuration, search: StudySearcher) -> None:
        """Count the trials of earlier sessions."""
        self.wanted += configuration.wanted
        self.ended += len(configuration.ended) + len(configuration.fresh)
        self.fresh += len(configuration.fresh)
        self.note(configuration, search)

    def note(self, configuration: Configuration, search: StudySearcher) -> None:
        """Take note of what the replicates that have ended say of a configuration."""
        if search.means(configuration) is not None:
            self.known.add(configuration.key)
            (self.within.add if search.keeps(configuration) else self.within.discard)(configuration.key)

    def planned_fresh(self, search: StudySearcher) -> int:
        """Fresh seeds that have been asked for or are there, and those that would be wanted if the search ended now; of
        controls that have not ended, those that each will get."""
        confirmation, configurations = search.confirmation, search.configurations
        if confirmation is None:
            return 0
        searching = not search.all_drawn or self.told < len(configurations)
        if searching and self.told < AGAIN * self.planned_at[0]:
            return self.planned_at[1]
        wanted = confirmation.wanted({key: c for key, c in configurations.items() if c.told})
        more = sum(len(missing(configurations[key], seeds)) for key, seeds in wanted.items())
        coming = sum(is_control(c) and not c.told for c in configurations.values())
        if not search.all_drawn:
            drawn = {c.label for c in configurations.values()}
            controls = search.space.controls[: search.total]
            coming += sum(is_control(control) and control.label not in drawn for control in controls)
        self.planned_at = self.told, self.fresh + more + confirmation.at_first * coming
        return self.planned_at[1]


def missing(configuration: Configuration, wanted: int) -> list[int]:
    """Which of the first so many fresh seeds have neither ended nor been asked for."""
    known = configuration.fresh.keys() | configuration.asked
    return [seed for seed in range(FIRST_FRESH, FIRST_FRESH + wanted) if seed not in known]
