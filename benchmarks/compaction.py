"""What compacting a store's small files costs, and what reading it takes before and afterwards.

    python benchmarks/compaction.py [--trials 2000]

The study is made up (`tests/analysis/synthetic.py`): two seeds a configuration, eight epochs and pictures of five kinds
a trial. Seconds of wall time, each once, with the files in the page cache.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from _record import table, write_result

from evae.results.compaction import compact
from evae.results.store import KINDS, Store

ROOT = Path(__file__).parents[1]
COLUMNS = ("trial", "state", "seed", "configuration", "device", "threads")


def seconds(work: Callable[[], object]) -> str:
    began = time.perf_counter()
    work()
    return f"{time.perf_counter() - began:.2f}"


def measure(place: str, what: str) -> dict[str, str]:
    """A line of the table."""
    store = Store(place)
    files = sum(len(store.files(kind)) + len(store.compacted(kind)) for kind in KINDS)
    some = list(store.sizes("images"))[:100]
    return {
        "": what,
        "files": f"{files:,}",
        "all trials, as a table (s)": seconds(lambda: store.read("trials")),
        "as rows (s)": seconds(lambda: store.rows("trials")),
        "six columns (s)": seconds(lambda: store.columns("trials", COLUMNS)),
        "all epochs (s)": seconds(lambda: store.read("epochs")),
        "pictures of 100 trials (s)": seconds(lambda: [store.rows("images", trial) for trial in some]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make = [sys.executable, "tests/analysis/synthetic.py", folder, "--configurations", str(given.trials // 2)]
        subprocess.run([*make, "--seeds", "2"], check=True, cwd=ROOT)
        lines = [measure(folder, "small files")]
        took = seconds(lambda: compact(Store(folder)))
        lines.append(measure(folder, "compacted"))
    note = f"\n{given.trials:,} trials; compacting them took {took} s.\n"
    write_result("compaction", "What a store's small files cost, and compacted ones", table(lines) + note)


if __name__ == "__main__":
    main()
