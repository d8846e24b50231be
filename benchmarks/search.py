"""What does a search strategy find for the epochs that it spends?

    python benchmarks/search.py [--repetitions 20] [--configurations 60] [--slots 4]

Replays the 228 recorded trials of benchmarks/results/grid.parquet (`record_grid.py`) through the searcher and the rungs
of a real study, in simulated time on 4 slots. Every strategy may spend the epochs that 60 full trials take, and is
repeated with 20 sampler seeds:

- random, TPE and NSGA-II train all of their trials to the end;
- TPE + halving stops trials at rungs by all objectives (`--early-stopping halving`), once these are known to see them;
- ASHA stops them by one goal, the mean of both objectives in units of the box below, and draws at random. It knows the
  box in advance, which no real study does: an advantage given to it.

Measured is the hypervolume of what was trained to the end, in the box between the best value of each objective on the
grid and its median, as a share of the front of the whole grid. A value from a rung counts for nothing. Curves are means
over repetitions; their intervals are 95 % by Student's t. "Reaches random's end" is where the mean curve reaches
random's last mean, with the 2.5th and 97.5th percentile over 1,000 bootstrap samples of the repetitions.

Two pairs of objectives are run: the default of the studies, and generation distance against rate. Which was better was
not known when they were chosen; both are shown. Nothing of the strategies was tuned on this grid.

Then the latency of a suggestion: the kernel space of the studies, two objectives, 1,000 and 10,000 configurations told.
"""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import Pool
from typing import Any

import numpy as np
import optuna
import pyarrow.parquet as pq
from _grid import BASE, SPACE, real_sharpness
from _record import RESULTS, table, write_result
from scipy import stats

from evae.metrics.sharpness import sharpness_gap
from evae.search.hypervolume import hypervolume
from evae.search.rungs import Rungs
from evae.search.samplers import sampler as samplers
from evae.search.searcher import StudySearcher
from evae.search.simulator import Curves, simulate
from search_spaces.kernels import SPACE as KERNEL_SPACE

DISTANCE = ("val_gen_fd_efficientnet_lite0_b2", "min")
PAIRS = {
    "generation distance, sharpness gap": [DISTANCE, ("val_rec_sharpness_gap", "min")],
    "generation distance, rate": [DISTANCE, ("val_rate_nats", "min")],
}
ALL = sys.maxsize
SCALAR = [("scalar", "min")]


@dataclass(frozen=True)
class Strategy:
    """A sampler, a rule for the rungs or none, and whether it sees one goal instead of all objectives."""

    sampler: str
    rule: str | None = None
    scalar: bool = False


STRATEGIES = {
    "random": Strategy("random"),
    "TPE": Strategy("tpe"),
    "NSGA-II": Strategy("nsga2"),
    "TPE + halving": Strategy("tpe", "halving"),
    "ASHA on one goal": Strategy("random", "halving", scalar=True),
}


class Grid:
    """The recorded rows with the derived columns, and the box in which a pair of objectives is measured."""

    def __init__(self, objectives: Sequence[tuple[str, str]]):
        rows, real = pq.read_table(RESULTS / "grid.parquet").to_pylist(), real_sharpness()
        for row in rows:
            row["val_rec_sharpness_gap"] = sharpness_gap(row["val_rec_sharpness"], real)
        self.metrics = [metric for metric, _ in objectives]
        last = np.array([[row[m] for m in self.metrics] for row in rows if row["epoch"] == BASE.optimisation.epochs])
        self.best, self.worst = last.min(axis=0), np.median(last, axis=0)
        for row in rows:
            row["scalar"] = float(self.scaled(row).mean())
        self.whole = hypervolume(np.array([self.scaled(row) for row in rows if row["state"] == "finished"]), np.ones(2))
        self.curves = Curves(rows)

    def scaled(self, row: Mapping[str, Any]) -> np.ndarray:
        """(objectives,): 0 at the best of the grid and 1 at its median."""
        return (np.array([row[m] for m in self.metrics]) - self.best) / (self.worst - self.best)

    def share(self, points: Sequence[np.ndarray]) -> float:
        return hypervolume(np.array(points), np.ones(2)) / self.whole


def run(job: tuple[str, str, int, int, int]) -> np.ndarray:
    """(epochs + 1,) share of the hypervolume after each epoch that one repetition spends."""
    pair, name, seed, slots, epochs = job
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    grid, strategy = Grid(PAIRS[pair]), STRATEGIES[name]
    objectives = SCALAR if strategy.scalar else PAIRS[pair]
    searcher = StudySearcher(
        SPACE,
        BASE,
        objectives,
        total=ALL,
        seeds=1,
        sampler_seed=seed,
        make_sampler=samplers[strategy.sampler],
        rungs=Rungs(strategy.rule, BASE.optimisation.epochs, objectives) if strategy.rule else None,
    )
    curve, found = np.zeros(epochs + 1), []
    for event in simulate(searcher, grid.curves, slots, epochs):
        if event.state == "finished":
            found.append(grid.scaled(event.row))
            curve[event.epochs :] = grid.share(found)
    return curve


def reached(curves: np.ndarray, goal: float) -> float:
    """The first epoch at which the mean of `curves` (n, epochs + 1) is at `goal`; NaN where it never is."""
    there = curves.mean(axis=0) >= goal
    return float(there.argmax()) if there.any() else float("nan")


def bootstrapped(curves: np.ndarray, other: np.ndarray) -> str:
    """`reached` of other's end, with its interval over repetitions."""
    draw = np.random.default_rng(0)

    def again(rows: np.ndarray) -> np.ndarray:
        return rows[draw.integers(len(rows), size=len(rows))]

    found = [reached(again(curves), again(other).mean(axis=0)[-1]) for _ in range(1000)]
    found = np.where(np.isnan(found), np.inf, found)
    low, high = (f"{v:.0f}" if np.isfinite(v) else "never" for v in np.percentile(found, [2.5, 97.5], method="nearest"))
    middle = reached(curves, other.mean(axis=0)[-1])
    return f"{'never' if np.isnan(middle) else f'{middle:.0f}'} ({low} to {high})"


def row(name: str, curves: np.ndarray, random: np.ndarray) -> dict[str, str]:
    """Share of the hypervolume at a third and at the end of the epochs, and what random search's end took."""
    last = curves.shape[1] - 1

    def at(epoch: int) -> str:
        half = stats.sem(curves[:, epoch]) * stats.t.ppf(0.975, len(curves) - 1)
        return f"{curves[:, epoch].mean():.3f} ± {half:.3f}"

    goal = bootstrapped(curves, random)
    return {"strategy": name, f"after {last // 3} epochs": at(last // 3), f"after {last}": at(last)} | {
        "reaches random's end after": goal
    }


def latency(name: str, told: int, asked: int = 100) -> dict[str, str]:
    """Milliseconds of CPU time of a suggestion once `told` configurations of two objectives have ended. They were drawn
    at random, but for NSGA-II's: those of its own generations."""
    draw = np.random.default_rng(0)
    searcher = StudySearcher(
        KERNEL_SPACE,
        BASE,
        [("a", "min"), ("b", "max")],
        total=ALL,
        seeds=1,
        sampler_seed=0,
        make_sampler=samplers["nsga2" if name == "nsga2" else "random"],
    )
    taken = []
    for number in range(told + asked):
        if number == told:
            searcher.make_sampler = samplers[name]
        started = time.process_time()
        searcher.suggest(str(number))
        taken.append(1000 * (time.process_time() - started))
        searcher.on_trial_complete(str(number), {"state": "finished", "a": draw.random(), "b": draw.random()})
    middle, late = np.percentile(taken[told:], [50, 95])
    found = {"sampler": name, "configurations told": f"{told:,}"}
    return found | {"median, ms": f"{middle:.1f}", "95th percentile, ms": f"{late:.1f}"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument("--configurations", type=int, default=60, help="whose full training takes the epochs to spend")
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--strategies", nargs="+", choices=[*STRATEGIES], default=[*STRATEGIES], help="random first")
    given = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    text, epochs = [], given.configurations * BASE.optimisation.epochs
    with Pool() as pool:
        for pair in PAIRS:
            names = given.strategies
            jobs = [(pair, name, seed, given.slots, epochs) for name in names for seed in range(given.repetitions)]
            curves = np.array(pool.map(run, jobs, chunksize=1)).reshape(len(names), given.repetitions, -1)
            rows = [row(name, each, curves[0]) for name, each in zip(names, curves, strict=True)]
            text += [f"## {pair}", table(rows)]
            print(text[-1], flush=True)
    speeds = [latency(name, 1000) for name in ("random", "qmc", "tpe", "nsga2")]
    speeds += [latency(name, 10_000) for name in ("tpe", "nsga2")]
    text += ["## A suggestion, as CPU time", table(speeds)]
    setting = (
        f"{len(Grid(PAIRS[pair]).curves.trials)} recorded trials of {BASE.optimisation.epochs} epochs; {epochs} epochs "
        f"to spend, {given.slots} slots, {given.repetitions} repetitions. Shares of the whole grid's hypervolume, with "
        "95 % intervals. Everything else: see the benchmark's docstring."
    )
    write_result("search", "Search strategies on recorded trials", "\n\n".join([setting, *text]))


if __name__ == "__main__":
    main()
