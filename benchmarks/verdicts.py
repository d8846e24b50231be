"""Does what the report says of differences hold as often as it says?

    python benchmarks/verdicts.py [--studies 400]

Simulates studies of 7, 30 and 100 configurations of 2, 3 and 5 seeds and judges them by the product's own functions.
Truths are known, so that each error can be counted. All configurations are equal in truth (a mean of 10 with a spread
between seeds of 1; or a mean of 0), four of them are controls, and both splits have the same luck, which is the worst
case for a best that is chosen by one and shown by the other. The noise is

- normal, and normal around a mean of 0;
- unequal: a third of the configurations each with a spread of a half, one and two;
- heavy: Student's t with three degrees of freedom;
- bad seeds: one in ten is worse by six standard deviations;
- shared: 30 % of the variance is that of the seed, the same for all configurations.

Shares of studies, but for the intervals and "beaten", which are shares of configurations. The errors should be 5 % or
less, and intervals hold 95 %; the Monte Carlo error of a share of 5 % of 400 studies is 1.1 %. Power is of a difference
of 2 or 3 standard deviations of a seed between the best and the runner-up, by the report's test, beside the pooled t
test of these two with the degrees of freedom of all configurations. Then kernels at equal rate, importance and the band
of slices, as the report draws them. tests/search/test_noise.py and tests/analysis hold a fast share of this.
"""

import argparse
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from _record import table as markdown
from _record import write_result
from scipy import special

from analysis.study import inference
from analysis.study.naming import Objective
from analysis.study.words import apart_by
from analysis.views import equal_rate, slices
from evae.search import noise
from evae.search.shares import labels

CONTROLS = 4
GOAL = Objective("gen_fd_x", "min")
SIZES = [(n, seeds) for n in (7, 30, 100) for seeds in (2, 3, 5)]
Draw = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]
NOISES: dict[str, Draw] = {
    "normal": lambda random, shape: 10 + random.normal(size=shape),
    "mean 0": lambda random, shape: random.normal(size=shape),
    "unequal": lambda random, shape: (
        10 + np.array([0.5, 1, 2])[np.arange(shape[0]) % 3, None] * random.normal(size=shape)
    ),
    "heavy": lambda random, shape: 10 + random.standard_t(3, shape) / np.sqrt(3),
    "bad seeds": lambda random, shape: 9.4 + random.normal(size=shape) + 6 * (random.random(shape) < 0.1),
    "shared": lambda random, shape: (
        10 + np.sqrt(0.7) * random.normal(size=shape) + np.sqrt(0.3) * random.normal(size=(1, shape[1]))
    ),
}


def of(values: np.ndarray) -> tuple[np.ndarray, noise.Noise]:
    """(n,) means of (n, seeds) values, and their noise."""
    return values.mean(axis=1), noise.of(values, np.arange(len(values)) % 3)


def table(means: np.ndarray, of_means: noise.Noise, control: np.ndarray | bool) -> pd.DataFrame:
    """The columns of the report's table that `apart_by` reads."""
    parts = {f"{GOAL.metric}_{name}": list(part) for name, part in vars(of_means).items()}
    return pd.DataFrame({GOAL.metric: means, "control": control} | parts)


def verdicts(means: np.ndarray, of_means: noise.Noise) -> tuple[bool, bool]:
    """Whether a control, and whether a runner-up that is none, is told from the best, by the words' own test."""
    order = np.argsort(means, kind="stable")
    rows = table(means, of_means, np.arange(len(means)) < CONTROLS).iloc[order]
    called = np.abs(means[order] - means[order[0]]) > apart_by(rows, GOAL)
    control = rows["control"].to_numpy()
    return bool((called & control)[1:].any()), bool(called[1] and not control[1])


def equal(kind: str, size: tuple[int, int], studies: int) -> dict[str, str]:
    """A row of the first table: how often what is said of equal configurations is wrong."""
    random, truth = np.random.default_rng(0), 0.0 if kind == "mean 0" else 10.0
    inside, noisiest, chosen, beaten, controls, second, luck, said = ([] for _ in range(8))
    for study in range(studies):
        values = NOISES[kind](random, size)
        means, of_means = of(values)
        held = np.abs(means - truth) <= of_means.half(noise.ERROR / 2)
        inside.append(held.mean())
        noisiest.append(held[2::3].mean())
        best = int(means.argmin())
        chosen.append(abs(means[best] - truth) <= of_means.half(noise.ERROR / 2 / len(means))[best])
        beaten.append(noise.beaten(means[:, None], [of_means]).mean())
        wrong = verdicts(means, of_means)
        controls.append(wrong[0])
        second.append(wrong[1])
        luck.append(truth - means[best])
        if study % 4 == 0:  # the slowest, of which the mean is well known from fewer
            said.append(inference.flattery(means, of_means))
    n, seeds = size
    shares = {
        "intervals hold": inside,
        "of every third": noisiest,
        "the best's holds": chosen,
        "beaten": beaten,
        "a control called apart": controls,
        "the runner-up": second,
    }
    row = {"noise": kind, "configurations": str(n), "seeds": str(seeds)}
    row |= {name: f"{100 * np.mean(values):.1f} %" for name, values in shares.items()}
    return row | {"luck of the best": f"{np.mean(luck):.2f}", "as said": f"{np.mean(said):.2f}"}


def power(size: tuple[int, int], studies: int) -> dict[str, str]:
    """How often the runner-up, worse by so many standard deviations, is told; the rest is far behind."""
    random, (n, seeds), row = np.random.default_rng(1), size, {}
    for by in (2.0, 3.0):
        told, plain = [], []
        for _ in range(studies):
            values = np.r_[30.0, 30 + by, np.full(n - 2, 40.0)][:, None] + random.normal(size=size)
            means, of_means = of(values)
            rows = table(means, of_means, False)
            gap = means[1] - means[0]
            told.append(gap > apart_by(rows, GOAL)[1])
            pooled = np.sqrt(values.var(axis=1, ddof=1).mean() * 2 / seeds)
            plain.append(gap > special.stdtrit(n * (seeds - 1), 0.975) * pooled)
        row |= {
            f"{by:g} sd told": f"{100 * np.mean(told):.0f} %",
            f"{by:g} sd, pooled t": f"{100 * np.mean(plain):.0f} %",
        }
    return {"configurations": str(n), "seeds": str(seeds)} | row


def kernels(number: int, studies: int) -> str:
    """Share of studies in which one of equal kernels at equal rate is called worse, 12 configurations each."""
    random, wrong = np.random.default_rng(2), 0
    for _ in range(studies):
        rate = np.exp(random.normal(3, 0.4, 12 * number))
        rows = pd.DataFrame({"kernel": np.repeat([f"k{k}" for k in range(number)], 12), "rate_nats": rate})
        rows["rate_is"], rows[GOAL.metric] = "exact", 50 - 10 * np.log(rate) + random.normal(size=len(rows))
        found = equal_rate.at_equal_rate(rows.assign(**{f"select_{GOAL.metric}": rows[GOAL.metric]}), GOAL)
        wrong += not found["within_noise"].all()
    return f"{100 * wrong / studies:.1f} %"


def importances(n: int, studies: int) -> dict[str, str]:
    """What is said of five parameters when the values are noise, and when they follow the first as much as noise."""
    random, found = np.random.default_rng(3), []
    for _ in range(studies):
        given: Sequence[list] = [*(list(random.random(n)) for _ in range(4)), list(random.choice(list("abcdefghi"), n))]
        parameters, values = [labels(one) for one in given], random.normal(size=n)
        told, most = inference.bearing(parameters, values)
        told_one, most_one = inference.bearing(parameters, values + np.sqrt(12) * np.array(given[0]))
        found.append((told.any(), (most < 0.05).any(), told_one[0], most_one[0] < 0.05, (most_one[1:] < 0.05).mean()))
    shares = [f"{100 * share:.1f} %" for share in np.mean(found, axis=0)]
    names = [
        "of noise, one is told",
        "of noise, one is called idle",
        "what bears is told",
        "it is called idle",
        "what does not is called idle",
    ]
    return {"configurations": str(n)} | dict(zip(names, shares, strict=True))


def bands(n: int, studies: int) -> dict[str, str]:
    """Share of places at which the band holds the truth, noise being a quarter of what the truth varies by."""
    random, row = np.random.default_rng(4), {"configurations": str(n)}
    truths = {
        "line": lambda x: x,
        "valley": lambda x: 4 * (x - 1.3) ** 2,
        "wave": lambda x: np.sin(2 * np.pi * x),
        "step": lambda x: np.where(x > 1.5, 1.0, 0.0),
    }
    for name, truth in truths.items():
        held = []
        for _ in range(studies):
            x = random.uniform(1, 2, n)
            found = slices.smooth(x, truth(x) + 0.25 * random.normal(size=n))
            if found["low"].notna().all():
                held.append((np.abs(truth(found["x"]) - found["fit"]) <= found["high"] - found["fit"]).mean())
        row[name] = f"{100 * np.mean(held):.1f} %" if held else "no band"
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=400)
    studies = parser.parse_args().studies
    text = (
        f"{studies} studies a row. What the columns are: see the benchmark's docstring.\n\n## Equal configurations\n\n"
    )
    text += markdown([equal(kind, size, studies) for kind in NOISES for size in SIZES])
    text += "\n## A difference between the best and the runner-up\n\n"
    text += markdown([power(size, studies) for size in SIZES])
    text += "\n## Equal kernels at equal rate: one is called worse\n\n"
    text += markdown([{"kernels": str(n), "of studies": kernels(n, studies)} for n in (2, 4, 9)])
    text += "\n## Importance\n\n" + markdown([importances(n, studies // 4) for n in (12, 30, 50, 200, 1000)])
    text += "\n## The band of slices holds the truth\n\n"
    text += markdown([bands(n, studies // 4) for n in (10, 30, 60, 150)])
    write_result("verdicts", "How often what the report says of differences is wrong", text)


if __name__ == "__main__":
    main()
