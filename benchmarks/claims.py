"""Do the verdicts of claims hold as often as they say, whenever one looks?

    python benchmarks/claims.py [--sequences 2000] [--looks 10000]

Simulates studies whose claims are all false because both sides are equal in truth, and looks after every fresh seed, by
the product's own test (`evae.search.anytime`). The error is the share of studies in which any claim is ever decided;
beside it that of a t test at 5 % at each look. The noise of a trial is

- normal;
- unequal: one side's spread is five times the other's;
- heavy: Student's t with three degrees of freedom;
- bad seeds: one trial in ten is worse by six standard deviations, on either side;
- bad seeds of one side: the same on one side alone, with the same mean;
- shared: 30 % of the variance is that of the seed, the same for both sides.

With five claims all compare a configuration with the same other one, and share the 5 %. Power is the number of seeds
until the verdict, where the difference is so many standard deviations of differences at one seed, beside the number
that a t test needs which looks once, there, and finds the difference in 80 % of studies.

Then the same of the share that a parameter of five values explains (`evae.search.shares`): how often the limits leave
out the truth at any look, and the mean limits at the last. tests/search/test_anytime.py has a fast share of all this.
"""

import argparse
from collections.abc import Callable

import numpy as np
from _record import table, write_result
from scipy import stats

from evae.search.anytime import confidence_sequence
from evae.search.noise import ERROR
from evae.search.shares import share, share_sequence

Draw = Callable[[np.random.Generator, tuple[int, int, int]], np.ndarray]
CHUNK = 100  # sequences at a time, so that ten thousand looks fit in memory


def bad(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return random.normal(size=shape) + 6.0 * (random.random(shape) < 0.1) - 0.6


def one_side_bad(random: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
    found = random.normal(size=shape)
    found[:, 1:] = bad(random, found[:, 1:].shape)
    return found


def unequal(random: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
    found = random.normal(size=shape)
    found[:, 0] *= 5
    return found


NOISES: dict[str, Draw] = {
    "normal": lambda random, shape: random.normal(size=shape),
    "unequal": unequal,
    "heavy": lambda random, shape: random.standard_t(3, shape),
    "bad seeds": bad,
    "bad seeds of one side": one_side_bad,
    "shared": lambda random, shape: (
        np.sqrt(0.7) * random.normal(size=shape) + np.sqrt(0.3) * random.normal(size=(shape[0], 1, shape[2]))
    ),
}


def equal(kind: str, sequences: int, looks: int) -> dict[str, str]:
    """How often one of one or five claims is ever decided although both sides are equal. Row 0 of the second axis is
    the configuration that all are compared with."""
    random, wrong = np.random.default_rng(0), []
    for _ in range(-(-sequences // CHUNK)):
        values = NOISES[kind](random, (CHUNK, 6, looks))
        differences = values[:, 1:] - values[:, :1]
        decided = []
        for claims in (1, 5):
            low, high = (ends[..., -1] for ends in confidence_sequence(differences[:, :claims], ERROR / claims))
            decided.append(((low > 0) | (high < 0)).any(axis=1))
        wrong.append([*decided, looked(differences[:, 0])])
    shares = np.concatenate(wrong, axis=1).mean(axis=1)
    names = ("one claim", "five claims", "a t test at each look")
    return {"noise": kind} | {name: f"{100 * value:.1f} %" for name, value in zip(names, shares, strict=True)}


def looked(differences: np.ndarray) -> np.ndarray:
    """Whether a t test at 5 % after each of the values (sequences, looks) ever finds a difference."""
    n = np.arange(2, differences.shape[1] + 1)
    mean = np.cumsum(differences, axis=1)[:, 1:] / n
    variance = (np.cumsum(differences**2, axis=1)[:, 1:] - n * mean**2) / (n - 1)
    return (np.abs(mean) > stats.t.ppf(1 - ERROR / 2, n - 1) * np.sqrt(variance / n)).any(axis=1)


def power(effect: float, sequences: int) -> dict[str, str]:
    random, row = np.random.default_rng(1), {"difference": f"{effect:g} sd"}
    values = random.normal(effect, 1.0, size=(sequences, 400))
    for claims in (1, 5):
        low, high = confidence_sequence(values, ERROR / claims)
        decided = (low > 0) | (high < 0)
        seeds = np.where(decided.any(axis=1), decided.argmax(axis=1) + 1, np.inf)
        name = "one claim" if claims == 1 else f"{claims} claims"
        row[f"seeds, {name}: median"], row["to 90 %" if claims == 1 else f"to 90 %, {name}"] = (
            f"{np.quantile(seeds, q, method='higher'):g}" for q in (0.5, 0.9)
        )
        wrong = (high < 0).any(axis=1).mean()
        row[f"wrong way, {name}"] = f"{100 * wrong:.1f} %"
    n = next(n for n in range(2, 1000) if once(effect, n) >= 0.8)
    return row | {"a t test that looks once": str(n)}


def once(effect: float, n: int) -> float:
    """How often a two-sided t test at 5 % of n values finds the effect."""
    limit = stats.t.ppf(1 - ERROR / 2, n - 1)
    return float(stats.nct.sf(limit, n - 1, effect * np.sqrt(n)))


def explained(effect: float, kind: str, studies: int, size: int = 640) -> dict[str, str]:
    random = np.random.default_rng(2)

    def draw(n: int) -> tuple[np.ndarray, np.ndarray]:
        kinds = random.integers(0, 5, n)
        return kinds, effect * kinds + NOISES[kind](random, (1, 2, n))[0, 1]

    truth = float(np.mean([share(list(map(str, kinds)), values) for kinds, values in (draw(40_000) for _ in range(5))]))
    found = []
    for _ in range(studies):
        kinds, values = draw(size)
        found.append(share_sequence(list(map(str, kinds)), values, ERROR)[:2])
    low, high = np.array(found).T
    row = {"noise": kind, "share in truth": f"{100 * truth:.1f} %"}
    row |= {"left out": f"{100 * ((low > truth) | (high < truth)).mean():.1f} %"}
    return row | {f"limits at {size}": f"{100 * low.mean():.1f} to {100 * high.mean():.1f} %"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sequences", type=int, default=2000)
    parser.add_argument("--looks", type=int, default=10_000)
    given = parser.parse_args()
    text = f"{given.sequences} studies a row. What the columns are: see the benchmark's docstring.\n\n"
    text += f"## Both sides are equal: a claim is ever decided, in {given.looks:,} looks\n\n"
    text += table([equal(kind, given.sequences, given.looks) for kind in NOISES])
    text += "\n## Fresh seeds until a verdict\n\n"
    text += table([power(effect, given.sequences) for effect in (0.5, 1.0, 2.0, 3.0, 5.0, 10.0)])
    text += "\n## The share that a parameter explains, looked at with 20, 40, ..., 640 configurations\n\n"
    kinds = ("normal", "heavy", "bad seeds")
    text += table([explained(e, kind, given.sequences // 4) for kind in kinds for e in (0.0, 0.2, 0.5, 1.0, 3.0)])
    write_result("claims", "How often a claim's verdict is wrong, whenever one looks", text)


if __name__ == "__main__":
    main()
