"""Early stopping on one objective or several: at rungs, trials that fall behind are stopped.

A rung is an epoch after which a trial's objectives are measured on the validation split and compared with those of
all trials that have come there before, in whatever order they come: nobody waits. A rung is judged once. Controls and
replicates beyond the first are not stopped: the former are what others are compared with, and the latter are trained
because their configuration has earned them.

A rung stops nothing until trials that came to their end have shown that it sees every objective: that the order there
predicts the final one (`evae.search.foresight`). With one of several objectives unseen it stops nothing either: what is
behind in those that are seen may be ahead in that one, and is so where the two are a trade-off. Once a rung sees,
earlier ones need only predict the order there, to which many more trials come than to the end: they stop what it would.

Evidence are trials that did not get where they are for their values: those that came by before a rung saw anything, and
those that are spared. Survivors of a rung are none, for among the best alone the order says less.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from evae.errors import UserError
from evae.search.foresight import LOOKS, Foresight, look
from evae.search.fronts import Fronts
from evae.search.pareto import signed

REDUCTION = 3
"""One in so many trials goes on from a rung, and as many times the epochs lie between two rungs."""
MOST_RUNGS = 3
"""A rung costs an evaluation."""
MEDIAN_OF = 4
"""The median rule needs so many earlier trials at a rung."""
SPARED = 18
"""One searched configuration in so many is never stopped: the rungs' foresight is tested on those. They train nine
times as long as one that is stopped at once: of one in nine, where rungs see, a third of all epochs would be theirs."""

Rule = Callable[[Fronts], str | None]
"""The trials that have come to a rung, the new one as the last of them -> why it has to stop, or None."""


def rung_epochs(epochs: int) -> tuple[int, ...]:
    """The rungs of trials of so many epochs: a third, a ninth and a 27th of them, as far as that is an epoch."""
    parts = {round(epochs / REDUCTION**k) for k in range(1, MOST_RUNGS + 1)}
    return tuple(sorted(part for part in parts if 1 <= part < epochs))


def halving(come: Fronts) -> str | None:
    """Asynchronous successive halving: stop what is not among the best third that has come to the rung so far.

    Of one objective the decision is that of Tune's ASHA (Li et al., A system for massively parallel hyperparameter
    tuning, arXiv 1810.05934, in its variant that stops instead of pausing): below the percentile of the earlier values.
    Of several, trials are ordered by non-dominated rank and epsilon-net as in Schmucker et al., Multi-objective
    asynchronous successive halving (arXiv 2106.12639), and the place in this order takes the value's part.
    """
    everyone = come.values
    if len(everyone) < 2:
        return None
    place = come.place()
    if everyone.shape[1] == 1:
        goes_on = -everyone[-1, 0] >= np.percentile(-everyone[:-1, 0], 100 * (1 - 1 / REDUCTION))
    else:
        goes_on = REDUCTION * place < len(everyone)  # what that percentile of places comes to
    return None if goes_on else f"place {place + 1} of {len(everyone)}, and the best of {REDUCTION} goes on"


def median(come: Fronts) -> str | None:
    """Stop what is worse in every objective than the median of the trials that came to the rung before.

    Of one objective: Golovin et al., Google Vizier (2017), section 3.2.2, with values instead of running averages.
    """
    earlier, new = come.values[:-1], come.values[-1]
    if len(earlier) < MEDIAN_OF or not (new > np.median(earlier, axis=0)).all():
        return None
    return f"worse than the median of {len(earlier)} in every objective"


RULES: dict[str, Rule] = {"halving": halving, "median": median}


def is_spared(origin: str, number: int) -> bool:
    """Whether a configuration's trials run to their end whatever the rungs say."""
    return origin != "searched" or number % SPARED == 0


def _found(of: Foresight) -> str:
    return f"{of.tau:.2f} ({'seen' if of.sees else 'not seen yet'})" if of.tau == of.tau else "none (all are the same)"


class Rungs:
    """What has been measured at each rung, which rungs see the objectives, and which trials were stopped and why."""

    def __init__(self, rule: str, epochs: int, objectives: Sequence[tuple[str, str]]):
        """`rule` is one of RULES, `objectives` are (metric, "min" or "max"). Raises UserError when trials of so many
        epochs have no rung."""
        self.rule, self.planned, self.objectives = RULES[rule], epochs, list(objectives)
        self.recorded: dict[int, dict[str, np.ndarray]] = {epoch: {} for epoch in rung_epochs(epochs)}
        self.come = {epoch: Fronts(len(objectives)) for epoch in self.recorded}
        """The same values, in the order in which they came."""
        self.ended: set[str] = set()
        self.selected: dict[str, int] = {}
        """Trials that a rung which sees has judged, and are not spared: at which it was first."""
        stages = list(combinations([*self.recorded, epochs], 2))
        self.pairs: dict[tuple[int, int], list[np.ndarray]] = {of: [] for of in stages}
        """For two rungs, or a rung and the end, the values (2, objectives) of trials that came to both and are evidence
        for them, in the order in which they came to the later."""
        self.looked = {of: [Foresight()] * len(objectives) for of in stages}
        """What of each objective the last look at these said."""
        self.said: dict[int, tuple[int, list[bool]]] = {}
        """Of each rung what was last told of."""
        self.on_change: Callable[[int], None] = lambda epoch: None
        """Called with a rung once something is known of it, and whenever it begins or ceases to see an objective."""
        self.stopped: dict[str, str] = {}
        if not self.recorded:
            raise UserError(f"{epochs} epoch(s) leave no room for early stopping: raise --epochs, or leave it out")

    @property
    def epochs(self) -> tuple[int, ...]:
        return tuple(self.recorded)

    def target(self, epoch: int) -> int:
        """What the order at a rung has to predict: that at the next rung which sees, or else at the end."""
        return next((later for later in self.epochs if later > epoch and self.sees(later)), self.planned)

    def sees(self, epoch: int) -> bool:
        """Whether a rung sees every objective, and therefore stops trials."""
        return all(each.sees for each in self.looked[epoch, self.target(epoch)])

    def sentence(self, epoch: int, label: Callable[[str], str] = str) -> str:
        """What is known of a rung, in words; "" before the first look. `label` names a metric."""
        target = self.target(epoch)
        known = self.looked[epoch, target]
        if not known[0].trials:
            return ""
        end = "at the end" if target == self.planned else f"after {target}, where it is seen"
        each = zip(self.objectives, known, strict=True)
        found = [f"{label(metric)} {_found(one)}" for (metric, _), one in each]
        acts = "stops trials that fall behind" if self.sees(epoch) else "stops nothing"
        return (
            f"The rung after {epoch} epoch{'' if epoch == 1 else 's'} {acts}. Kendall's tau of the order there and "
            f"{end}, of {known[0].trials} trials: {', '.join(found)}."
        )

    def take_over(self, epochs: Iterable[Mapping[str, Any]], trials: Iterable[Mapping[str, Any]]) -> None:
        """Rebuild the rungs from the store's `epochs` and `trials` of earlier sessions, those of first replicates, in
        the order in which they ended; rows that do not say when come before all others, as they lie. Trials that were
        taken from other studies are no evidence: of those, only what came to its end is there."""
        own = (row for row in trials if row.get("taken_study") is None)
        first = {row["trial"]: row for row in own if row["seed"] == 0}
        events = [row for row in epochs if row.get("trial") in first and row.get("epoch") in self.recorded]
        finished = (row for row in first.values() if row["state"] == "finished")
        events += [row for row in finished if (row.get("epochs") or 0) >= self.planned]
        timeless = [row for row in events if row.get("ended_at") is None]
        dated = [row for row in events if row.get("ended_at") is not None]
        for row in timeless + sorted(dated, key=lambda row: row["ended_at"]):
            if "state" in row:
                self.end(row["trial"], row)
            else:
                of = first[row["trial"]]
                self._come(row["trial"], row["epoch"], row, is_spared(of["origin"], of["number"]))

    def judge(self, trial: str, epoch: int, measured: Mapping[str, Any], spared: bool = False) -> str | None:
        """Why this trial has to stop after this epoch, or None: it goes on. One that is `spared` always does.

        Objectives that are missing or not finite are neither judged nor compared with: the trial's end will tell.
        """
        new = self._come(trial, epoch, measured, spared)
        if new is None or spared or not self.sees(epoch):
            return None
        why = self.rule(self.come[epoch])
        if why is None:
            return None
        self.stopped[trial] = f"stopped at the rung after epoch {epoch}: {why}"
        return self.stopped[trial]

    def end(self, trial: str, measured: Mapping[str, Any]) -> None:
        """Take note of what a trial that has finished measured at its end."""
        values = self._values(measured)
        if values is not None and trial not in self.ended:
            self.ended.add(trial)
            self._learn(trial, self.planned, values)

    def _come(self, trial: str, epoch: int, measured: Mapping[str, Any], spared: bool) -> np.ndarray | None:
        """The trial's values if they are new at this rung."""
        if epoch not in self.recorded or trial in self.recorded[epoch]:
            return None
        values = self._values(measured)
        if values is not None:
            self.recorded[epoch][trial] = values
            self.come[epoch].add(values)
            self._learn(trial, epoch, values)
            if self.sees(epoch) and not spared:
                self.selected.setdefault(trial, epoch)
        return values

    def _learn(self, trial: str, later: int, values: np.ndarray) -> None:
        """Note how earlier rungs predicted what a trial has now come to, unless it is here for its values there."""
        if self.selected.get(trial, later) < later:
            return
        for epoch in (epoch for epoch in self.epochs if epoch < later and trial in self.recorded[epoch]):
            pairs = self.pairs[epoch, later]
            pairs.append(np.stack([self.recorded[epoch][trial], values]))
            if len(pairs) in LOOKS:
                self.looked[epoch, later] = [look(*pair) for pair in np.array(pairs).transpose(2, 1, 0)]
                self._tell()

    def _tell(self) -> None:
        for epoch in self.epochs:
            known = self.looked[epoch, self.target(epoch)]
            now = self.target(epoch), [each.sees for each in known]
            if known[0].trials and self.said.get(epoch) != now:
                self.said[epoch] = now
                self.on_change(epoch)

    def _values(self, measured: Mapping[str, Any]) -> np.ndarray | None:
        values = signed([measured], self.objectives)[0]
        return values if all(math.isfinite(value) for value in values) else None
