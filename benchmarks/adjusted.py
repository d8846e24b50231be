"""Are the limits of a parameter's share right that take account of what other parameters do, and how narrow are they?

    python benchmarks/adjusted.py [--studies 400]

In a grid of independently drawn points a parameter of nine values (a kernel) is looked at beside two numbers and a
third parameter of two values (`evae.search.adjusted`). What these do to the metric is

- plain: a straight line of each number;
- heavy: the same, and the noise is Student's t with three degrees of freedom;
- mixed: the second number's effect depends on the first, on the third, and on the kernel;
- jumps: a step, and the sign of the product of both, of which polynomials of each by itself see little.

Left out is how often the limits, with an error of 5 % and at one look, leave out the truth; beside them are those of
the parameter alone, as for points that a sampler has chosen. Then, with the error of each of 39 claims and looks at 20,
40, 80, ... points, how often "explains > 0.05" is decided.
"""

import argparse

import numpy as np
from _record import table, write_result

from evae.search.adjusted import Adjusted
from evae.search.noise import ERROR
from evae.search.shares import share, share_sequence
from evae.search.variance import Analysis

KINDS = 9
LIMIT, CLAIMS = 0.05, 39
Drawn = tuple[list[str], np.ndarray, list[list[object]]]


def draw(random: np.random.Generator, n: int, effect: float, what: str, noise: float = 0.3) -> Drawn:
    kinds, first, second, third = random.integers(0, KINDS, n), *random.uniform(-1, 1, (2, n)), random.integers(0, 2, n)
    own = effect * (kinds - (KINDS - 1) / 2) / np.arange(KINDS).std()
    metric = own + first + 1.6 * second
    if what == "mixed":
        metric = metric + 1.5 * first * second + 0.8 * third * second + own * second
    if what == "jumps":
        metric = own + 2.0 * (first > 0.3) + 2.5 * (first * second > 0)
    error = random.standard_t(3, n) if what == "heavy" else random.normal(size=n)
    return list(map(str, kinds)), metric + noise * error, [list(first), list(second), list(map(str, third))]


def truth_of(effect: float, what: str, noise: float = 0.3) -> float:
    random = np.random.default_rng(0)
    return float(np.mean([share(*draw(random, 30_000, effect, what, noise)[:2]) for _ in range(4)])) if effect else 0.0


def calibrated(what: str, effect: float, n: int, studies: int) -> dict[str, str]:
    random, truth, ends = np.random.default_rng(1), truth_of(effect, what), []
    for _ in range(studies):
        values, metric, others = draw(random, n, effect, what)
        ends.append([Adjusted(values, metric, others).limits(ERROR / 2), Analysis(values, metric).limits(ERROR / 2)])
    low, high = np.array(ends).transpose(2, 1, 0)
    wrong = 100 * ((low > truth) | (high < truth)).mean(axis=1)
    said = [f"{100 * a:.1f} to {100 * b:.1f} %" for a, b in zip(low.mean(axis=1), high.mean(axis=1), strict=True)]
    row = {"others": what, "points": str(n), "explained": f"{100 * truth:.1f} %", "left out": f"{wrong[0]:.1f} %"}
    return row | {"limits": said[0], "left out, alone": f"{wrong[1]:.1f} %", "limits, alone": said[1]}


def decided(effect: float, n: int, studies: int, noise: float) -> dict[str, str]:
    random, truth = np.random.default_rng(2), truth_of(effect, "plain", noise)
    ends = np.array(
        [
            share_sequence(values, metric, ERROR / CLAIMS, others)[:2]
            for values, metric, others in (draw(random, n, effect, "plain", noise) for _ in range(studies))
        ]
    )
    left = Adjusted(*draw(random, 10_000, effect, "plain", noise)).noise
    row = {"all explain": f"{100 * (1 - left):.0f} %", "points": str(n), "explained": f"{100 * truth:.0f} %"}
    low, high = np.median(100 * ends, axis=0)
    row |= {
        "holds": f"{100 * (ends[:, 0] > LIMIT).mean():.0f} %",
        "does not": f"{100 * (ends[:, 1] < LIMIT).mean():.0f} %",
    }
    return row | {"limits": f"{low:.1f} to {high:.1f} %"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=400)
    studies = parser.parse_args().studies
    kinds, effects = ("plain", "heavy", "mixed", "jumps"), (0.0, 0.3, 1.0, 2.0)
    text = f"{studies} studies a row (a quarter in the second table). What is what: see the benchmark's docstring.\n\n"
    text += "## Limits at one look, with an error of 5 %\n\n"
    text += table([calibrated(what, effect, n, studies) for what in kinds for effect in effects for n in (80, 160)])
    text += f'\n## "Explains > {LIMIT}" as one of {CLAIMS} claims\n\n'
    rows = [(noise, n, effect) for noise in (0.3, 0.7) for n in (80, 160, 320) for effect in (0.0, 0.4, 0.6)]
    text += table([decided(effect, n, studies // 4, noise) for noise, n, effect in rows])
    write_result("adjusted", "The limits of a parameter's share beside all others", text)


if __name__ == "__main__":
    main()
