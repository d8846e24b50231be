"""How long do machines wait for the driver? A simulated cluster of 1,000 slots, and the real search.

    python benchmarks/driver.py [--trials 10000] [--slots 1000] [--seconds 60] [--every 1]

Time is simulated; what the driver does is not: for each trial that ends it tells the search, brings console and journal
up to date and asks for the next one, as a study does (TPE over the kernel space, two objectives, with and without early
stopping by halving, fresh seeds to be planned). Its seconds are measured as CPU time, so that other work on the machine
does not count, and pass on the simulated clock: the driver does one thing after the other, and a slot waits from the
end of its trial until the next one is there. Trials take 60 s give or take a tenth. Not in it: what Ray Tune itself
takes, and the network.

With `--every 20` only one suggestion in 20 is TPE's, and the others, drawn at random, are charged what that one took:
the same curve, in a twentieth of the time.
"""

import argparse
import heapq
import io
import tempfile
import time
from types import SimpleNamespace

import numpy as np
import optuna
from _record import table, write_result
from rich.console import Console

from evae.recipe import Recipe
from evae.results.store import Store
from evae.search.confirmation import Confirmation
from evae.search.journal import Journal
from evae.search.rungs import Rungs, is_spared
from evae.search.samplers import sampler as samplers
from evae.search.searcher import StudySearcher
from evae.study.progress import StudyProgress
from search_spaces.kernels import SPACE

OBJECTIVES = [("val_a", "min"), ("val_b", "max")]
EPOCHS = 9


class Driver:
    """Its part of a study, and how many simulated seconds it has been busy."""

    def __init__(self, trials: int, every: int, stopping: bool):
        self.every, self.free, self.spent = every, 0.0, {"suggest": [], "judge": [], "end": []}
        self.rungs = Rungs("halving", EPOCHS, OBJECTIVES) if stopping else None
        self.search = StudySearcher(
            SPACE,
            Recipe(),
            OBJECTIVES,
            total=trials,
            seeds=1,
            sampler_seed=0,
            make_sampler=samplers["tpe"],
            rungs=self.rungs,
            confirmation=Confirmation(2, OBJECTIVES),
        )
        self.progress = StudyProgress(self.search, Console(file=io.StringIO()), EPOCHS)
        self.last = 0.0

    def does(self, kind: str, now: float, call, charged: float | None = None):
        """(What `call` returns, when it is done) where it is asked for at `now`."""
        started = time.process_time()
        found = call()
        took = time.process_time() - started if charged is None else charged
        self.spent[kind].append(took)
        self.free = max(now, self.free) + took
        return found, self.free

    def suggest(self, number: int, now: float):
        measured = number % self.every == 0
        self.search.make_sampler = samplers["tpe" if measured else "random"]
        found = self.does("suggest", now, lambda: self.search.suggest(str(number)), None if measured else self.last)
        self.last = self.spent["suggest"][-1]
        return found

    def judge(self, job, epoch: int, measured: dict, now: float):
        return self.does(
            "judge", now, lambda: self.rungs.judge(job.trial, epoch, measured, is_spared(job.origin, job.number))
        )

    def end(self, number: int, row: dict, now: float):
        def told() -> None:
            self.search.on_trial_complete(str(number), row)
            self.progress.on_trial_complete(0, [], SimpleNamespace(trial_id=str(number)))

        return self.does("end", now, told)


def simulate(trials: int, slots: int, seconds: float, every: int, stopping: bool) -> tuple[Driver, float, float]:
    """(The driver, slot-seconds that waited, slot-seconds in all)."""
    driver, draw = Driver(trials, every, stopping), np.random.default_rng(0)
    waited, begun, under_way = 0.0, 0, []

    def begin(asked: float) -> None:
        nonlocal begun, waited
        job, at = driver.suggest(begun, asked)
        if hasattr(job, "trial"):
            waited += at - asked
            epoch_s = seconds / EPOCHS * draw.uniform(0.9, 1.1)
            heapq.heappush(under_way, (at + epoch_s, begun, 1, job, epoch_s, draw.normal(size=2)))
        begun += 1

    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        store.prepare()
        with Journal(store, "driver", driver.search):
            for _ in range(slots):
                begin(0.0)
            while under_way and len(driver.search.configurations) < trials:
                now, number, epoch, job, epoch_s, truth = heapq.heappop(under_way)
                row = dict(zip(("val_a", "val_b"), truth + draw.normal(size=2) * 0.3 * (epoch < EPOCHS), strict=True))
                at, why = now, None
                if epoch in job.rungs:
                    why, at = driver.judge(job, epoch, row, now)
                if why is None and epoch < EPOCHS:
                    waited += at - now
                    heapq.heappush(under_way, (at + epoch_s, number, epoch + 1, job, epoch_s, truth))
                    continue
                _, at = driver.end(number, row | {"state": "finished" if why is None else "running"}, now)
                begin(now)
    return driver, waited, slots * driver.free


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--slots", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--every", type=int, default=1)
    given = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    parts = [part(given.trials, given.slots, given.seconds, given.every, stopping) for stopping in (True, False)]
    write_result("driver", __doc__.splitlines()[0], "\n\n".join(parts))


def part(trials: int, slots: int, seconds: float, every: int, stopping: bool) -> str:
    """What was found with or without early stopping, in Markdown."""
    driver, waited, whole = simulate(trials, slots, seconds, every, stopping)
    rows = []
    for kind, spent in ((kind, spent) for kind, spent in driver.spent.items() if spent):
        row = {"the driver's": kind, "times": f"{len(spent):,}"}
        for name, some in (("all", spent), ("last tenth", spent[-len(spent) // 10 :])):
            middle, late = 1000 * np.percentile(some, [50, 95])
            row |= {f"median of {name}, ms": f"{middle:.1f}", "95th percentile, ms" + f" ({name})": f"{late:.1f}"}
        rows.append(row)
    stopped = f"{len(driver.rungs.stopped):,} of them stopped early" if driver.rungs else "none of them stopped early"
    said = (
        f"{trials:,} trials of {seconds:g} s at most on {slots:,} slots, {stopped}: "
        f"**{waited / whole:.1%}** of slot time waits for the driver, which is busy for "
        f"{sum(map(sum, driver.spent.values())):.0f} of {driver.free:.0f} simulated seconds."
    )
    return f"{said}\n\n{table(rows)}"


if __name__ == "__main__":
    main()
