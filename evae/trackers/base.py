"""What all trackers offer, and what of a row they show."""

import importlib.util
import math
import numbers
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from evae.callbacks import Callback, Row
from evae.errors import UserError
from evae.identity import ORIGIN
from evae.registry import Registry

FOUND = ("finished", "stopped")
"""States of trials with which nothing went wrong."""
ABOUT = ("label", "configuration", "number", "origin", "method", "seed", "role", "epochs_planned", *ORIGIN)
"""What of a trial's row says which one it is, and where it was trained if that was another study: shown as
hyperparameters, beside those that were searched."""
NO_METRICS = (*ABOUT, "attempt", "epoch")
SEARCHED = "param_"


class Tracker(Callback):
    """A callback whose rows go to a program that shows experiments. It is called in a thread of its own, one call after
    the other, so that it may be slow, and it is told of what ended before it was there: the same trial may come more
    than once, and is the same run then.

    What it keeps on this machine it keeps in `folder`, which is its own and need not exist. Keys and passwords come
    from the environment alone: nothing of them is written down.
    """

    needs: str | None = None
    """The module without which it cannot be used, where that comes with the extra of the tracker's name."""

    def __init__(self, folder: Path, say: Callable[[str], None]):
        self.folder, self.say = folder, say

    def pictures(self, trial: Row, pictures: Sequence[Row]) -> None:
        """The rows of the `images` table of a finished trial, before its end is told."""


tracker: Registry[type[Tracker]] = Registry("tracker")
"""Trackers by the names of `--track`, and the decorator `@tracker("name")`."""


def require(names: Iterable[str]) -> None:
    """Raise UserError for a tracker that is not known, or whose program is not installed."""
    for name in names:
        needs = tracker[name].needs
        if needs is not None and importlib.util.find_spec(needs) is None:
            raise UserError(f"--track {name} needs {needs}, which is not installed: pip install 'evae[{name}]'")


def hyperparameters(trial: Row) -> dict[str, str | int | float | bool]:
    """What was searched, and which trial this is; without what is not known."""
    given = {name.removeprefix(SEARCHED): value for name, value in trial.items() if name.startswith(SEARCHED)}
    found = {name: trial.get(name) for name in ABOUT} | given
    return {name: _simple(value) for name, value in found.items() if value is not None}


def metrics(row: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a row that measure something: of an epoch's, or of a trial's."""
    return {
        name: float(value)
        for name, value in row.items()
        if name not in NO_METRICS and not name.startswith(SEARCHED)
        if isinstance(value, numbers.Real) and not isinstance(value, bool)
    }


def finite(values: Mapping[str, float]) -> dict[str, float]:
    """Those of them that are finite."""
    return {name: value for name, value in values.items() if math.isfinite(value)}


def _simple(value: Any) -> str | int | float | bool:
    return value if isinstance(value, str | int | float | bool) else str(value)
