"""What does a study pay to look for its trials among 100,000 of other studies?

    python benchmarks/pool.py [--trials 100000]

Writes that many rows of trials, with 60 metrics each, as compacted results of 20 studies on the same images, and
measures: the index of all of them as a study begins; what its sampler is told of; and for one trial to find whether it
is there, and to read and check its row where it is.
"""

import argparse
import json
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
from _record import table, write_result

from evae.identity import identity
from evae.numerics import NUMERICS
from evae.results.compacted import KEY
from evae.results.offers import gathered
from evae.results.store import Store, to_json
from evae.search.job import Job
from evae.study.covered import Wanted
from evae.study.offered import told
from evae.study.pool import StudyPool
from evae.study.taking import read
from search_spaces.kernels import SPACE
from studies.kernel_sweep import KernelSweep

STUDIES, METRICS, LOOKED_UP = 20, 60, 200
DIGEST = "0123456789abcdef"


def rows(number: int, first: int) -> list[dict]:
    """Trials with seeds of their own of the space's controls."""
    base, rng, began = KernelSweep().base_recipe(), np.random.default_rng(first), datetime(2026, 1, 1, tzinfo=UTC)
    recipes = [(control.params, SPACE.recipe(control.params, base)) for control in SPACE.controls]
    found = []
    for seed in range(first, first + number):
        params, recipe = recipes[seed % len(recipes)]
        plain = replace(recipe, seed=seed).to_dict()
        key = recipe.configuration()
        row = {"trial": f"{key}-s{seed}", "configuration": key, "seed": seed, "role": "search", "state": "finished"}
        row |= {"params": to_json(params), "recipe": to_json(plain), "precision": "fp32"}
        row["epochs"] = plain["optimisation"]["epochs"]
        row |= {
            "identity": identity(plain, DIGEST, "fp32"),
            "data_digest": DIGEST,
            "numerics": NUMERICS,
            "plugins": "{}",
        }
        row |= {"started_at": began, "ended_at": began + timedelta(seconds=seed), "distances": "{}"}
        found.append(row | {f"val_{i}": value for i, value in enumerate(rng.normal(size=METRICS))})
    return found


def write(root: str, trials: int) -> list[dict]:
    """The rows to be looked up."""
    known = []
    for study in range(STUDIES):
        store = Store(f"{root}/study-{study}")
        store.prepare()
        made = sorted(rows(trials // STUDIES, study * trials // STUDIES), key=lambda row: row["trial"])
        store.write_compacted(
            "trials", "1-a.parquet", pa.Table.from_pylist([r | {KEY: r["trial"]} for r in made]), 1000
        )
        known += made[: LOOKED_UP // STUDIES]
    return known


def timed(what, times: int = 3) -> tuple[float, object]:
    """(the shortest of so many times in seconds, what came of it)."""
    found = []
    for _ in range(times):
        clock = time.perf_counter()
        result = what()
        found.append(time.perf_counter() - clock)
    return min(found), result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=100_000)
    trials = parser.parse_args().trials
    with tempfile.TemporaryDirectory(prefix="evae-pool-") as root:
        known, own = write(root, trials), Store(f"{root}/own")
        own.prepare()
        begins, offers = timed(lambda: gathered((), root, own, DIGEST))
        assert len(offers) == trials
        learns, _ = timed(lambda: list(told(offers, ["val_0"], Wanted((), {}))))
        jobs = [
            Job(row["configuration"], 0, row["seed"], 1, {}, json.loads(row["recipe"]), "searched", None)
            for row in known
        ]
        pool = StudyPool(offers, own, "own", DIGEST, Wanted((), {}), precision=lambda recipe: "fp32")
        others = [replace(job, recipe=job.recipe | {"seed": 10**9}) for job in jobs]
        finds, _ = timed(lambda: [pool.take(job) for job in others])

        def reads() -> None:
            for job, row in zip(jobs, known, strict=True):
                index, trial = offers.found[row["identity"]][0]
                read(offers.stores[index], trial, job, row["identity"])

        reading, _ = timed(reads)
    lines = [
        {"what": f"index of {trials:,} trials of {STUDIES} studies, as a study begins", "time": f"{begins:.2f} s"},
        {"what": "what its sampler is told of, the newest 1,000", "time": f"{learns:.2f} s"},
        {"what": "a trial that is not there", "time": f"{1000 * finds / len(jobs):.2f} ms"},
        {"what": "a trial that is there: its row read and checked", "time": f"{1000 * reading / len(jobs):.1f} ms"},
    ]
    write_result("pool", "What it costs to look for trials that are trained", table(lines))


if __name__ == "__main__":
    main()
