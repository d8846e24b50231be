"""What the search hands over to be trained."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evae.results.store import Store

ENDED = ("finished", "stopped", "diverged", "failed")
"""States of a trial that will not be trained again."""
SEARCH, CONFIRM = "search", "confirm"
"""What a trial is for: to choose by, or to measure what was chosen."""
FIRST_FRESH = 1000
"""The first fresh seed: above all seeds of a search, however many more it gets. They are the same for all
configurations, so that differences can be taken seed by seed."""


@dataclass(frozen=True)
class Kept:
    """A finished training, the weights of which a `store` keeps under the name of that `trial`, and the `row` that it
    has in this study; one `of_study` itself has it already."""

    store: "Store"
    trial: str
    row: Mapping[str, Any]
    of_study: bool


@dataclass(frozen=True)
class Job:
    """One trial to be trained: a configuration with a seed, and how the search came to it.

    After the epochs in `rungs` its objectives are measured on the validation split, to decide whether it goes on.
    `role` is `SEARCH`, or `CONFIRM` for a fresh seed of a configuration that was chosen. Where it was trained before
    and only has to be measured, its weights are `kept`.
    """

    configuration: str
    number: int
    seed: int
    attempt: int
    params: Mapping[str, Any]
    recipe: Mapping[str, Any]
    origin: str
    label: str | None
    rungs: tuple[int, ...] = ()
    role: str = SEARCH
    kept: "Kept | None" = None

    @property
    def trial(self) -> str:
        return f"{self.configuration}-s{self.seed}"


def is_fresh(row: Mapping[str, Any]) -> bool:
    """Whether a trial confirms; rows of older stores do not say, and belong to the search."""
    return row.get("role") == CONFIRM
