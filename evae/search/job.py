"""What the search hands over to be trained."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Job:
    """One trial to be trained: a configuration with a seed, and how the search came to it.

    After the epochs in `rungs` its objectives are measured on the validation split, to decide whether it goes on.
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

    @property
    def trial(self) -> str:
        return f"{self.configuration}-s{self.seed}"
