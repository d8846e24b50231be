"""Does what a comparison says of several data sets hold as often as it says?

    python benchmarks/data_sets.py [--comparisons 1000]

Simulates comparisons of two to eight data sets, each a study of 7 configurations with 2 or 3 seeds, in two metrics,
and judges them by the product's own functions. Metrics have another scale on each data set, and normal seeds in the
logarithm. A configuration's true effect differs between data sets by tau (a standard deviation, of the logarithm), and
is 0 on average in the first columns:

- one interval: how often that of a single data set holds its own true effect (should be 95 %);
- mean: how often the combined one holds the average true effect (95 %; more where tau is small against noise, and
  always found to be at least 0);
- another: how often the interval for another data set holds a true effect on one (95 %);
- something differs: share of comparisons that say so, though nothing does on average (5 % or less, over 12 rows);
- found: share of configurations that are said to differ, when the average effect is a factor of 1.5 for all of them.

`spread` is that between seeds; unequal: each configuration's own spread is up to three times larger or smaller.
"""

import argparse
import math

import numpy as np
from _record import table, write_result

from analysis.study.across import effect
from analysis.study.random_effects import Together, holm, together
from evae.search import noise
from evae.search.noise import ERROR

CONFIGURATIONS, METRICS = 7, 2
SHIFT = math.log(1.5)
CASES = [
    (k, tau, spread, seeds, unequal)
    for k in (2, 3, 5, 8)
    for tau, spread, seeds, unequal in (
        (0.0, 0.1, 2, False),
        (0.2, 0.1, 2, False),
        (0.2, 0.3, 3, False),
        (0.2, 0.2, 3, True),
        (0.5, 0.1, 2, False),
    )
]


def study(random: np.random.Generator, truth: np.ndarray, spread: float, seeds: int, unequal: bool) -> np.ndarray:
    """(n, 3) of effects against the first configuration, their errors and halves; `truth` (n,) are logarithms."""
    spreads = spread * np.exp(np.where(unequal, random.uniform(-1.1, 1.1, len(truth)), 0.0))
    luck = spreads[:, None] * random.normal(size=(len(truth), seeds))
    values = np.exp(random.normal(0, 2) + truth[:, None] + luck)
    means = values.mean(axis=1)
    of = noise.of(values)
    return np.array([effect(means, of, one, 0, "ratio") for one in range(len(truth))])


def comparison(
    random: np.random.Generator, case: tuple[int, float, float, int, bool], shift: float
) -> tuple[list[Together], np.ndarray]:
    """All rows combined, and which intervals of single data sets held their own truth."""
    k, tau, *of = case
    rows, held = [], []
    for _ in range(METRICS):
        truths = shift + tau * random.normal(size=(k, CONFIGURATIONS))
        truths[:, 0] = 0
        found = np.array([study(random, truth, *of) for truth in truths])
        held.append(np.abs(found[..., 0] - truths)[:, 1:] <= found[:, 1:, 2])
        rows += [together(found[:, i, 0], found[:, i, 1]) for i in range(1, CONFIGURATIONS)]
    return [row for row in rows if row is not None], np.array(held)


def differ(rows: list[Together]) -> np.ndarray:
    return holm(np.array([row.chance for row in rows])) <= ERROR


def simulate(case: tuple[int, float, float, int, bool], comparisons: int) -> dict[str, str]:
    random = np.random.default_rng(CASES.index(case))
    held, mean, another, any_differs, found = [], [], [], [], []
    k, tau, spread, seeds, unequal = case
    for _ in range(comparisons):
        rows, own = comparison(random, case, 0.0)
        held.append(own.mean())
        mean.append(np.mean([abs(row.mean) <= row.half for row in rows]))
        new = tau * random.normal(size=len(rows))
        another.append(np.mean([abs(row.mean - x) <= row.half_of_another for row, x in zip(rows, new, strict=True)]))
        any_differs.append(differ(rows).any())
        found.append(differ(comparison(random, case, SHIFT)[0]).mean())
    return {
        "data sets": str(k),
        "tau": f"{tau:g}",
        "spread": f"{spread:g}{', unequal' if unequal else ''}",
        "seeds": str(seeds),
        "one interval": f"{100 * np.mean(held):.1f} %",
        "mean": f"{100 * np.mean(mean):.1f} %",
        "another": f"{100 * np.mean(another):.1f} %" if k > 2 else "–",
        "something differs": f"{100 * np.mean(any_differs):.1f} %",
        "found": f"{100 * np.mean(found):.0f} %",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--comparisons", type=int, default=1000, help="simulated comparisons a row")
    comparisons = parser.parse_args().comparisons
    rows = [simulate(case, comparisons) for case in CASES]
    text = f"{comparisons:,} comparisons a row. What the columns are: see the benchmark's docstring.\n\n{table(rows)}"
    write_result("data_sets", "How often a comparison of data sets is wrong", text)


if __name__ == "__main__":
    main()
