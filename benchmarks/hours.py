"""How often does the interval for the gain of going on hold the truth?

    python benchmarks/hours.py [--studies 80]

Studies of n configurations are drawn at random from distributions of objectives, and `evae.search.outlook` says what as
many draws more (or a quarter of them) are expected to add to the hypervolume, with a 90 % interval. The truth is the
mean gain of 20 continuations of the same study, in the same box. All gains are shares of the hypervolume that is there.

- square: two or three independent uniform objectives;
- trade-off: points of a simplex, moved away from it by half a normal of standard deviation 0.3;
- orders: points of a simplex, times exp of a normal: most are worse by a lot;
- normal: independent normal objectives, whose best is ever farther away;
- few values: 6 values on a trade-off, each 3 times moved away (and 3 values of a third objective), so that the front is
  soon complete.
"""

import argparse
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
from _record import table, write_result

from evae.search.hypervolume import hypervolume
from evae.search.outlook import Gain, outlook
from evae.search.pareto import nondominated

CONTINUED = 20
SIZES = ((2, 20, 20), (2, 60, 60), (2, 60, 15), (3, 30, 30))
"""Objectives, configurations of the study, and of its continuation."""
Draw = Callable[[np.random.Generator, int, int], np.ndarray]


def trade_off(random: np.random.Generator, n: int, k: int) -> np.ndarray:
    return random.dirichlet(np.ones(k), size=n) + np.abs(random.normal(0, 0.3, (n, 1)))


def orders(random: np.random.Generator, n: int, k: int) -> np.ndarray:
    return random.dirichlet(np.ones(k), size=n) * np.exp(random.normal(0, 1, (n, 1)))


def few_values(random: np.random.Generator, n: int, k: int) -> np.ndarray:
    step = random.integers(0, 6, n) / 5
    more = [random.integers(0, 3, n) / 2 for _ in range(k - 2)]
    return np.stack([step, 1 - step, *more], axis=1) + random.integers(0, 3, (n, 1)) / 3


KINDS: dict[str, Draw] = {
    "square": lambda random, n, k: random.uniform(size=(n, k)),
    "trade-off": trade_off,
    "orders": orders,
    "normal": lambda random, n, k: random.normal(size=(n, k)),
    "few values": few_values,
}


def said(points: np.ndarray, more: int) -> Gain:
    """What is said of a study that drew these, one in a second, of so many seconds more."""
    began, names = datetime(2026, 1, 1, tzinfo=UTC), [f"o{i}" for i in range(points.shape[1])]
    # The study took but `more` seconds in which something was trained, where it took the others' trials from elsewhere.
    rows = [
        {
            "configuration": str(i),
            "state": "finished",
            "started_at": began + timedelta(seconds=i),
            "ended_at": began + timedelta(seconds=i + 1),
            "taken_study": "other" if i < len(points) - more else None,
            **dict(zip(names, point, strict=True)),
        }
        for i, point in enumerate(points)
    ]
    found = outlook(rows, [(name, "min") for name in names], sampler="random")
    assert found.more == more
    return found.gain


def truth(points: np.ndarray, draw: Draw, random: np.random.Generator, more: int) -> float:
    """The mean gain of continuations."""
    reference, front = points.max(axis=0), points[nondominated(points)]

    def volume(of: np.ndarray) -> float:
        return hypervolume(of[nondominated(of)], reference)

    continued = (np.vstack([front, draw(random, more, points.shape[1])]) for _ in range(CONTINUED))
    return float(np.mean([volume(of) for of in continued])) / volume(front) - 1


def row(kind: str, k: int, n: int, more: int, studies: int) -> dict[str, str]:
    random, found = np.random.default_rng(2), []
    for _ in range(studies):
        points = KINDS[kind](random, n, k)
        found.append((truth(points, KINDS[kind], random, more), said(points, more)))
    true, expected = (np.array(part) for part in ([t for t, _ in found], [gain.expected for _, gain in found]))
    middle = [np.median([getattr(gain, end) for _, gain in found]) for end in ("low", "high")]
    return {
        "objectives": kind,
        "how many": str(k),
        "configurations": str(n),
        "more": str(more),
        "true gain, mean": f"{100 * true.mean():.2f} %",
        "expected, mean": f"{100 * expected.mean():.2f} %",
        "median interval": f"{100 * middle[0]:.2f} to {100 * middle[1]:.2f} %",
        "truth below": f"{100 * np.mean([t < gain.low for t, gain in found]):.0f} %",
        "truth above": f"{100 * np.mean([t > gain.high for t, gain in found]):.0f} %",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=80, help="of each kind and size")
    given = parser.parse_args()
    rows = [row(kind, *size, given.studies) for kind in KINDS for size in SIZES]
    write_result("hours", "What would more hours buy?", f"{given.studies} studies a line.\n\n{table(rows)}")


if __name__ == "__main__":
    main()
