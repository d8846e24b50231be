"""Recorded trials replayed as if they were trained: search strategies are compared in seconds.

    table = pq.read_table("benchmarks/results/grid.parquet")
    log = list(simulate(searcher, Curves(table.to_pylist()), slots=4))

The searcher and the rungs are those of a real study; time is what the recorded epochs took, and every run is the same.
"""

import heapq
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from evae.errors import UserError
from evae.search.job import ENDED, Job
from evae.search.rungs import is_spared
from evae.search.searcher import FINISHED, StudySearcher


class Curves:
    """What was recorded of trials: for each configuration and seed a row for every epoch.

    Rows have configuration, seed, epoch, train_s, the objectives wherever a rung or the end may ask for them, and,
    where the trial ended otherwise than finished, its state in its last row. Both the epochs of a study's store that
    measured at every epoch and the table of benchmarks/record_grid.py are such rows.
    """

    def __init__(self, rows: Iterable[Mapping[str, Any]]):
        self.trials: dict[tuple[str, int], list[Mapping[str, Any]]] = defaultdict(list)
        for row in sorted(rows, key=lambda row: row["epoch"]):
            self.trials[row["configuration"], row["seed"]].append(row)

    def of(self, job: Job) -> list[Mapping[str, Any]]:
        """The rows of a trial. Raises UserError when it was not recorded, or for fewer epochs than the job plans."""
        rows = self.trials.get((job.configuration, job.seed), [])
        planned = job.recipe["optimisation"]["epochs"]
        if not rows or (len(rows) < planned and rows[-1].get("state") not in ENDED):
            raise UserError(
                f"trial {job.trial} ({dict(job.params)}) was recorded for {len(rows)} of {planned} epochs; "
                "let the search space suggest recorded configurations only, or record it."
            )
        return rows[:planned]


@dataclass(frozen=True)
class Event:
    """A trial that ended: when (simulated seconds), after how many epochs of all trials together, how, with what."""

    time_s: float
    epochs: int
    job: Job
    state: str
    row: Mapping[str, Any]


def simulate(searcher: StudySearcher, curves: Curves, slots: int, epochs: float = math.inf) -> Iterator[Event]:
    """Run the search on `slots` simulated machines until it is finished, or until `epochs` have been trained in all.

    Trials that end at the same moment end in the order in which they began.
    """
    clock, spent, begun = 0.0, 0, 0
    under_way: list[tuple[float, int, int, Job, list[Mapping[str, Any]]]] = []
    while True:
        while len(under_way) < slots and spent < epochs:
            job = searcher.suggest(str(begun))
            if job is None or job == FINISHED:
                break
            rows = curves.of(job)
            heapq.heappush(under_way, (clock + rows[0]["train_s"], begun, 0, job, rows))
            begun += 1
        if not under_way or spent >= epochs:
            return
        clock, number, epoch, job, rows = heapq.heappop(under_way)
        row, spent = rows[epoch], spent + 1
        state = _state(searcher, job, row, last=epoch + 1 == len(rows))
        if state == "running":
            heapq.heappush(under_way, (clock + rows[epoch + 1]["train_s"], number, epoch + 1, job, rows))
        else:
            searcher.on_trial_complete(str(number), {**row, "state": state})
            yield Event(clock, spent, job, state, row)


def _state(searcher: StudySearcher, job: Job, row: Mapping[str, Any], last: bool) -> str:
    if last:
        recorded = row.get("state")
        return recorded if recorded in ENDED else "finished"
    spared = is_spared(job.origin, job.number)
    if row["epoch"] in job.rungs and searcher.rungs.judge(job.trial, row["epoch"], row, spared):
        return "stopped"
    return "running"
