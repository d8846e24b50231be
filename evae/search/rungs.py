"""Early stopping on one objective or several: at rungs, trials that fall behind are stopped.

A rung is an epoch after which a trial's objectives are measured on the validation split and compared with those of
all trials that have come there before, in whatever order they come: nobody waits. A rung is judged once. Controls and
replicates beyond the first are not stopped: the former are what others are compared with, and the latter are trained
because their configuration has earned them.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from evae.errors import UserError
from evae.search.pareto import best_first, signed

REDUCTION = 3
"""One in so many trials goes on from a rung, and as many times the epochs lie between two rungs."""
MOST_RUNGS = 3
"""A rung costs an evaluation."""
MEDIAN_OF = 4
"""The median rule needs so many earlier trials at a rung."""

Rule = Callable[[np.ndarray, np.ndarray], str | None]
"""(values of earlier trials (n, objectives), the new trial's (objectives,)), all minimised -> why to stop, or None."""


def rung_epochs(epochs: int) -> tuple[int, ...]:
    """The rungs of trials of so many epochs: a third, a ninth and a 27th of them, as far as that is an epoch."""
    parts = {round(epochs / REDUCTION**k) for k in range(1, MOST_RUNGS + 1)}
    return tuple(sorted(part for part in parts if 1 <= part < epochs))


def halving(earlier: np.ndarray, new: np.ndarray) -> str | None:
    """Asynchronous successive halving: stop what is not among the best third that has come to the rung so far.

    Of one objective the decision is that of Tune's ASHA (Li et al., A system for massively parallel hyperparameter
    tuning, arXiv 1810.05934, in its variant that stops instead of pausing): below the percentile of the earlier values.
    Of several, trials are ordered by non-dominated rank and epsilon-net as in Schmucker et al., Multi-objective
    asynchronous successive halving (arXiv 2106.12639), and the place in this order takes the value's part.
    """
    if not len(earlier):
        return None
    everyone = np.vstack([earlier, new])
    order = best_first(everyone)
    place = order.index(len(earlier))
    goodness = -everyone[:, 0] if everyone.shape[1] == 1 else -np.argsort(order).astype(float)
    if goodness[-1] >= np.percentile(goodness[:-1], 100 * (1 - 1 / REDUCTION)):
        return None
    return f"place {place + 1} of {len(everyone)}, and the best of {REDUCTION} goes on"


def median(earlier: np.ndarray, new: np.ndarray) -> str | None:
    """Stop what is worse in every objective than the median of the trials that came to the rung before.

    Of one objective: Golovin et al., Google Vizier (2017), section 3.2.2, with values instead of running averages.
    """
    if len(earlier) < MEDIAN_OF or not (new > np.median(earlier, axis=0)).all():
        return None
    return f"worse than the median of {len(earlier)} in every objective"


RULES: dict[str, Rule] = {"halving": halving, "median": median}


class Rungs:
    """What has been measured at each rung, and which trials were stopped there and why."""

    def __init__(self, rule: str, epochs: int, objectives: Sequence[tuple[str, str]]):
        """`rule` is one of RULES, `objectives` are (metric, "min" or "max"). Raises UserError when trials of so many
        epochs have no rung."""
        self.rule, self.objectives = RULES[rule], list(objectives)
        self.recorded: dict[int, dict[str, np.ndarray]] = {epoch: {} for epoch in rung_epochs(epochs)}
        self.stopped: dict[str, str] = {}
        if not self.recorded:
            raise UserError(f"{epochs} epoch(s) leave no room for early stopping: raise --epochs, or leave it out")

    @property
    def epochs(self) -> tuple[int, ...]:
        return tuple(self.recorded)

    def take_over(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Rebuild the rungs from the store's epochs of earlier sessions, those of first replicates."""
        for row in rows:
            if row["seed"] == 0:
                self._record(row["trial"], row["epoch"], row)

    def judge(self, trial: str, epoch: int, measured: Mapping[str, Any], spared: bool = False) -> str | None:
        """Why this trial has to stop after this epoch, or None: it goes on. One that is `spared` always does.

        Objectives that are missing or not finite are neither judged nor compared with: the trial's end will tell.
        """
        before = list(self.recorded.get(epoch, {}).values())
        new = self._record(trial, epoch, measured)
        if new is None or spared or not before:
            return None
        why = self.rule(np.array(before), new)
        if why is None:
            return None
        self.stopped[trial] = f"stopped at the rung after epoch {epoch}: {why}"
        return self.stopped[trial]

    def _record(self, trial: str, epoch: int, measured: Mapping[str, Any]) -> np.ndarray | None:
        """The trial's values if they are new at this rung."""
        if epoch not in self.recorded or trial in self.recorded[epoch]:
            return None
        values = signed([measured], self.objectives)[0]
        if not all(math.isfinite(value) for value in values):
            return None
        self.recorded[epoch][trial] = values
        return values
