"""Do rungs that learn do harm where early values say nothing? Random search in worlds whose truth is known.

    python benchmarks/rungs.py [--repetitions 200] [--epochs 540]

Each trial has two final values, normal and independent or a trade-off (correlation -0.7), and takes 9 epochs, with
rungs after 1 and 3. What a rung measures has a correlation with the final value that the world gives, per objective;
what is left of it at 3 epochs is shared with that at 1. Trials come one after the other until the epochs are spent.

Three ways: no rungs, halving that learns (as in a study), and halving that trusts its rungs from the first trial on, as
before. Measured is the hypervolume of what was trained to its end, below the mean of both objectives, as a ratio to
that of no rungs with the same trials; with 95 % intervals. Beside it, in how many studies a rung ever stopped a trial,
and when the first that was stopped came.
"""

import argparse
import os
from multiprocessing import Pool

import numpy as np
from _record import table, write_result
from scipy import stats

from evae.search.foresight import Foresight
from evae.search.hypervolume import hypervolume
from evae.search.rungs import Rungs, is_spared

OBJECTIVES = [("a", "min"), ("b", "min")]
EPOCHS = 9
WORLDS = {
    "blind": (0.0, 0.0),
    "reversed": (-0.8, -0.8),
    "one seen, one blind": (0.95, 0.0),
    "one seen, one reversed": (0.95, -0.6),
    "weak": (0.4, 0.4),
    "seen": (0.95, 0.95),
}
"""Correlations of the values at the rungs with the final ones; after 1 epoch they are 0.8 of that."""


def run(job: tuple[str, float, str, int, int]) -> tuple[float, int | None]:
    """(hypervolume, number of the first trial that was stopped) of one study."""
    world, trade_off, way, budget, seed = job
    draw = np.random.default_rng([seed, 1])
    rungs = None if way == "none" else Rungs("halving", EPOCHS, OBJECTIVES)
    if way == "trusting":
        rungs.looked = {of: [Foresight(1.0, 9, True)] * 2 for of in rungs.looked}
        rungs._learn = lambda *trial: None
    spent, number, found, first = 0, 0, [], None
    while spent + EPOCHS <= budget:
        final = draw.multivariate_normal([0, 0], [[1, trade_off], [trade_off, 1]])
        own, more = draw.normal(size=(2, 2))
        why = None
        for epoch, kept in ((1, 0.8), (3, 1.0)):
            correlation, noise = kept * np.array(WORLDS[world]), own if epoch == 3 else (own + more) / np.sqrt(2)
            early = correlation * final + np.sqrt(1 - correlation**2) * noise
            values, spared = dict(zip("ab", early, strict=True)), way == "learning" and is_spared("searched", number)
            if rungs and (why := rungs.judge(str(number), epoch, values, spared)):
                spent, first = spent + epoch, number if first is None else first
                break
        if not why:
            spent += EPOCHS
            found.append(final)
            if rungs:
                rungs.end(str(number), dict(zip("ab", final, strict=True)))
        number += 1
    return hypervolume(np.array(found), np.zeros(2)), first


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=540)
    given = parser.parse_args()
    rows = []
    with Pool(len(os.sched_getaffinity(0))) as pool:
        for trade_off in (0.0, -0.7):
            for world in WORLDS:
                seeds = range(given.repetitions)
                volumes, firsts = {}, []
                for way in ("none", "learning", "trusting"):
                    ended = pool.map(run, [(world, trade_off, way, given.epochs, seed) for seed in seeds])
                    volumes[way] = np.array([volume for volume, _ in ended])
                    firsts = [first for _, first in ended] if way == "learning" else firsts
                row = {"world": world, "objectives": "trade-off" if trade_off else "independent"}
                for way in ("learning", "trusting"):
                    gain = (volumes[way] - volumes["none"]) / volumes["none"].mean()
                    half = stats.sem(gain) * stats.t.ppf(0.975, len(gain) - 1)
                    row[way] = f"{1 + gain.mean():.3f} ± {half:.3f}"
                stopped = [first for first in firsts if first is not None]
                row["studies in which a trial was stopped"] = f"{len(stopped) / len(firsts):.0%}"
                row["the first, in the median"] = f"{np.median(stopped):.0f}" if stopped else ""
                rows.append(row)
                print(row, flush=True)
    text = f"{given.repetitions} studies of {given.epochs} epochs each. The rest: the docstring.\n\n{table(rows)}"
    write_result("rungs", __doc__.splitlines()[0], text)


if __name__ == "__main__":
    main()
