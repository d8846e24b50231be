"""What can a study decide with so many configurations and fresh seeds, when 39 claims share the error?

    python benchmarks/shares.py [--studies 4000]

These are the numbers of `studies/is_it_the_kernel.py`, by the product's own tests: "explains > 0.05" of a parameter
with nine values (a kernel) or of a number (in five bins), looked at with 20, 40, 80, ... configurations, and
comparisons at the same fresh seeds. The means of a parameter's values are

- even: evenly apart;
- one: one value differs from all others, which are equal.

An error is a study in which "explains > 0.05" is said to hold at any look although a little less is explained in truth:
the means are as far apart as makes it 5 % of the ranks' variance. Each claim may be wrong in 0.13 %, half of it this
way. Power is the share of studies that decide, and the limits are medians. With fewer configurations than a look needs
the one before it is the last: 150 tell as much as 80. The parameter is looked at alone, as in a search; what a grid
gains by looking at it beside the others is in benchmarks/adjusted.py.
"""

import argparse

import numpy as np
from _record import table, write_result
from claims import NOISES

from evae.search.anytime import confidence_sequence
from evae.search.noise import ERROR
from evae.search.shares import looks, share, share_sequence
from evae.search.variance import Analysis

CLAIMS, LIMIT = 39, 0.05
EACH = ERROR / CLAIMS
SHAPES = {"even": lambda kinds: np.arange(kinds, dtype=float), "one": lambda kinds: np.eye(kinds)[0]}


def draw(random: np.random.Generator, means: np.ndarray, noise: str, n: int) -> tuple[list[str], np.ndarray]:
    kinds = random.integers(0, len(means), n)
    return list(map(str, kinds)), means[kinds] + NOISES[noise](random, (1, 2, n))[0, 1]


def means_of(truth: float, shape: str, kinds: int, noise: str) -> np.ndarray:
    """Means that explain `truth` of the variance of the ranks, found by halving, on 100,000 values."""
    low, high = 0.0, 100.0
    for _ in range(20):
        middle = (low + high) / 2
        values = draw(np.random.default_rng(0), middle * SHAPES[shape](kinds), noise, 100_000)
        low, high = (middle, high) if share(*values) < truth else (low, middle)
    return low * SHAPES[shape](kinds)


def wrong(shape: str, noise: str, kinds: int, studies: int, size: int = 320) -> dict[str, str]:
    """How often less than the limit is ever said to be more."""
    random, means = np.random.default_rng(1), means_of(LIMIT, shape, kinds, noise)
    found = 0
    for _ in range(studies):
        values, metric = draw(random, means, noise, size)
        found += any(
            Analysis(values[:n], metric[:n]).limits(spent * EACH / 2)[0] > LIMIT for n, spent in looks(size)[1:]
        )
    return {"values": str(kinds), "means": shape, "noise": noise, "said to hold": f"{100 * found / studies:.2f} %"}


def decided(kinds: int, truth: float, size: int, studies: int) -> dict[str, str]:
    """How often a share is told from the limit, and its limits."""
    random, means = np.random.default_rng(2), means_of(truth, "even", kinds, "normal") if truth else np.zeros(kinds)
    ends = np.array([share_sequence(*draw(random, means, "normal", size), EACH)[:2] for _ in range(studies)])
    low, high = np.median(100 * ends, axis=0)
    more, less = 100 * (ends[:, 0] > LIMIT).mean(), 100 * (ends[:, 1] < LIMIT).mean()
    row = {"values": str(kinds), "configurations": str(size), "explained": f"{100 * truth:.0f} %"}
    return row | {"holds": f"{more:.0f} %", "does not": f"{less:.0f} %", "limits": f"{low:.0f} to {high:.0f} %"}


def compared(effect: float, studies: int, seeds: tuple[int, ...] = (5, 6, 8, 10, 12, 20)) -> dict[str, str]:
    """How often a difference of so many standard deviations of differences is decided by a number of seeds."""
    values = np.random.default_rng(3).normal(effect, 1.0, (studies, max(seeds)))
    found = {n: confidence_sequence(values[:, :n], EACH)[0][:, -1] > 0 for n in seeds}
    return {"difference": f"{effect:g} sd"} | {f"{n} seeds": f"{100 * found[n].mean():.0f} %" for n in seeds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=4000)
    studies = parser.parse_args().studies
    text = (
        f"{CLAIMS} claims, {studies} studies a row (power: a twentieth). What is what: see the benchmark's docstring.\n"
    )
    text += "\n## 5 % are explained in truth, and more is said, at any look up to 320 configurations\n\n"
    noises = ("normal", "heavy", "bad seeds")
    text += table([wrong(s, noise, kinds, studies) for kinds in (9, 5) for s in SHAPES for noise in noises])
    text += "\n## What is decided of a share\n\n"
    rest = studies // 20
    truths = (0.0, 0.1, 0.2, 0.3, 0.4)
    text += table([decided(k, t, n, rest) for k in (9, 5) for n in (80, 160, 320, 640) for t in truths])
    text += "\n## Comparisons that are decided by so many fresh seeds\n\n"
    text += table([compared(effect, studies) for effect in (1.0, 1.5, 2.0, 3.0, 5.0, 8.0)])
    write_result("shares", "What so many configurations and fresh seeds decide", text)


if __name__ == "__main__":
    main()
