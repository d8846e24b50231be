"""Does what the report says of differences hold as often as it says?

    python benchmarks/verdicts.py [--studies 400]

Simulates studies of 7, 30 and 100 configurations of 2, 3 and 5 seeds and judges them by the product's own functions.
Truths are known, so that each error can be counted. All configurations are equal in truth (a mean of 10 with a spread
between seeds of 1; or a mean of 0), four of them are controls, and both splits have the same luck, which is the worst
case for a best that is chosen by one and shown by the other. Every third configuration is of the same method. The noise
is

- normal, and normal around a mean of 0;
- unequal: three methods with spreads of a half, one and two; or the same, but nobody knows the methods;
- heavy: Student's t with three degrees of freedom;
- bad seeds: one in ten is worse by six standard deviations;
- shared: 30 % of the variance is that of the seed, the same for all configurations.

Shares of studies, but for the intervals and "beaten", which are shares of configurations. The errors should be 5 % or
less, and intervals hold 95 %; the Monte Carlo error of a share of 5 % of 400 studies is 1.1 %. Then

- what the same studies say once the best and the controls have fresh seeds;
- power: of a difference of 2 or 3 standard deviations of a seed between the best and the runner-up, by the report's
  test, beside the pooled t test of these two with the degrees of freedom of all configurations;
- real trainings: recipes with 24 seeds each (record_seeds.py), whose means over all seeds stand for the truth. Seeds of
  one recipe are taken for configurations, chosen on the validation split and shown on the test split; and recipes, all
  moved to the same mean, are compared on a few seeds that they share, as in a study, or with their own means. Intervals
  of means are narrowed by what drawing so many of 24 seeds leaves of the variance;
- kernels at equal rate, importance and the band of slices, as the report draws them.

tests/search/test_noise.py and tests/analysis hold a fast share of this.
"""

import argparse
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from _record import RESULTS, write_result
from _record import table as markdown
from scipy import special

from analysis.study import inference
from analysis.study.naming import Objective
from analysis.study.tables import noise_of_means
from analysis.study.words import apart_by
from analysis.views import equal_rate, slices
from evae.search import noise
from evae.search.noise import Noise
from evae.search.variance import labels

CONTROLS = 4
FRESH = 3  # seeds for the best of real trainings
UNEQUAL = np.array([0.5, 1, 2])
GOAL = Objective("gen_fd_x", "min")
CONFIRMED = ("normal", "unequal", "shared")
METRICS = ("rec_fd_efficientnet_lite0_b2", "gen_fd_efficientnet_lite0_b2", "rec_sharpness_gap", "distortion_nats")
SIZES = [(n, seeds) for n in (7, 30, 100) for seeds in (2, 3, 5)]
Draw = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]
NOISES: dict[str, Draw] = {
    "normal": lambda random, shape: 10 + random.normal(size=shape),
    "mean 0": lambda random, shape: random.normal(size=shape),
    "unequal": lambda random, shape: 10 + UNEQUAL[np.arange(shape[0]) % 3, None] * random.normal(size=shape),
    "unequal, unknown": lambda random, shape: NOISES["unequal"](random, shape),
    "heavy": lambda random, shape: 10 + random.standard_t(3, shape) / np.sqrt(3),
    "bad seeds": lambda random, shape: 9.4 + random.normal(size=shape) + 6 * (random.random(shape) < 0.1),
    "shared": lambda random, shape: (
        10 + np.sqrt(0.7) * random.normal(size=shape) + np.sqrt(0.3) * random.normal(size=(1, shape[1]))
    ),
}


def of(values: np.ndarray, kind: str = "") -> noise.Noise:
    """The noise of the means of (n, seeds) values."""
    return noise.of(values, np.arange(len(values)) % 3 if kind != "unequal, unknown" else None)


def columns(means: np.ndarray, of_means: noise.Noise, **more: np.ndarray | bool) -> pd.DataFrame:
    """What the words' test reads of the report's table."""
    parts = {f"{GOAL.metric}_{name}": list(part) for name, part in vars(of_means).items()}
    return pd.DataFrame({GOAL.metric: means, "control": np.arange(len(means)) < CONTROLS} | parts | more)


def verdicts(rows: pd.DataFrame) -> tuple[bool, bool]:
    """Whether a control, and whether a runner-up that is none, is told from the best, by the words' own test; `rows`
    are the best first."""
    values = rows[GOAL.metric].to_numpy()
    called = np.abs(values - values[0]) > apart_by(rows, GOAL)
    control = rows["control"].to_numpy()
    return bool((called & control)[1:].any()), bool(called[1] and not control[1])


def percent(shares: Mapping[str, Sequence[float] | float], digits: int = 1) -> dict[str, str]:
    return {name: f"{100 * np.mean(values):.{digits}f} %" for name, values in shares.items()}


def equal(kind: str, size: tuple[int, int], studies: int) -> dict[str, str]:
    """A row of the first table: how often what is said of equal configurations is wrong."""
    random, truth = np.random.default_rng(0), 0.0 if kind == "mean 0" else 10.0
    inside, noisiest, chosen, beaten, controls, second, luck, said = ([] for _ in range(8))
    for study in range(studies):
        values = NOISES[kind](random, size)
        means, of_means = values.mean(axis=1), of(values, kind)
        held = np.abs(means - truth) <= of_means.half(noise.ERROR / 2)
        inside.append(held.mean())
        noisiest.append(held[2::3].mean())
        best = int(means.argmin())
        chosen.append(abs(means[best] - truth) <= of_means.half(noise.ERROR / 2 / len(means))[best])
        beaten.append(noise.beaten(means[:, None], [of_means]).mean())
        wrong = verdicts(columns(means, of_means).sort_values(GOAL.metric))
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
    row = {"noise": kind, "configurations": str(n), "seeds": str(seeds)} | percent(shares)
    return row | {"luck of the best": f"{np.mean(luck):.2f}", "as said": f"{np.mean(said):.2f}"}


def confirmed(kind: str, size: tuple[int, int], fresh: int, studies: int) -> dict[str, str]:
    """What is said of equal configurations where the best and the controls have fresh seeds."""
    random, (n, seeds), holds, apart, luck = np.random.default_rng(5), size, [], [], []
    for _ in range(studies):
        values = NOISES[kind](random, (n, seeds + fresh))
        best = int(values[:, :seeds].mean(axis=1).argmin())
        again = (np.arange(n) < CONTROLS) | (np.arange(n) == best)
        values[again, :seeds], values[~again, seeds:] = np.nan, np.nan
        means, of_means = np.nanmean(values, axis=1), of(values, kind)
        holds.append(abs(means[best] - 10) <= of_means.half(noise.ERROR / 2)[best])
        luck.append(10 - means[best])
        order = [best, *(i for i in np.flatnonzero(again) if i != best)]
        apart.append(verdicts(columns(means, of_means, confirmed=again).iloc[order])[0])
    row = {"noise": kind, "configurations": str(n), "seeds": str(seeds), "fresh seeds": str(fresh)}
    row |= percent({"the best's holds": holds, "a control called apart": apart})
    return row | {"luck of the best": f"{np.mean(luck):.2f} ± {np.std(luck) / np.sqrt(studies):.2f}"}


def power(size: tuple[int, int], studies: int) -> dict[str, str]:
    """How often the runner-up, worse by so many standard deviations, is told; the rest is far behind."""
    (n, seeds), row = size, {}
    for kind, name in (("normal", ""), ("shared", ", 30 % shared")):
        random = np.random.default_rng(1)
        for by in (2.0, 3.0):
            told, plain = [], []
            for _ in range(studies):
                values = np.r_[30.0, 30 + by, np.full(n - 2, 40.0)][:, None] + NOISES[kind](random, size) - 10
                means = values.mean(axis=1)
                gap = means[1] - means[0]
                told.append(gap > apart_by(columns(means, of(values)).assign(control=False), GOAL)[1])
                plain.append(gap > pooled(values))
            row |= percent({f"{by:g} sd{name}": told, f"{by:g} sd{name}, pooled t": plain}, 0)
    return {"configurations": str(n), "seeds": str(seeds)} | row


def pooled(values: np.ndarray) -> float:
    """The difference of two means that the t test with one spread for all calls more than noise."""
    n, seeds = values.shape
    return special.stdtrit(n * (seeds - 1), 1 - noise.ERROR / 2) * np.sqrt(
        values.var(axis=1, ddof=1).mean() * 2 / seeds
    )


def trainings(metric: str) -> tuple[pd.DataFrame, np.ndarray]:
    """The recorded trials of a metric as a study's, and the metric's (recipes, seeds) values."""
    trials = pd.read_parquet(RESULTS / "seeds.parquet").rename(columns={"recipe": "configuration"})
    trials = trials.assign(state="finished", method=trials["configuration"], kernel=None)
    return trials, trials.pivot(index="configuration", columns="seed", values=metric).to_numpy()


def one_recipe(metric: str, size: tuple[int, int], studies: int) -> dict[str, str]:
    """Seeds of one recipe taken for configurations, the best by the validation split; then three others for it."""
    random, (n, seeds) = np.random.default_rng(6), size
    shown, chooses = trainings(metric)[1], trainings(f"val_{metric}")[1]
    luck, said, controls, chosen, beaten, fresh, holds = ([] for _ in range(7))
    for values, by in zip(shown, chooses, strict=True):
        truth = values.mean()
        for _ in range(max(1, studies // len(shown))):
            every = random.permutation(values.size)
            drawn, again = every[: n * seeds].reshape(size), every[n * seeds :][:FRESH]
            means, ranks, of_means = values[drawn].mean(axis=1), by[drawn].mean(axis=1), of(values[drawn])
            best = int(ranks.argmin())
            luck.append((truth - means[best]) / truth)
            said.append(inference.flattery(ranks, of(by[drawn])) / truth)
            chosen.append(abs(means[best] - truth) <= of_means.half(noise.ERROR / 2 / n)[best])
            beaten.append(noise.beaten(means[:, None], [of_means]).mean())
            controls.append(verdicts(columns(means, of_means).iloc[ranks.argsort(kind="stable")])[0])
            both = np.full((n, seeds + FRESH), np.nan)
            both[:, :seeds], both[best] = values[drawn], np.r_[np.full(seeds, np.nan), values[again]]
            fresh.append((truth - values[again].mean()) / truth)
            narrower = np.sqrt(1 - FRESH / values.size)
            holds.append(abs(values[again].mean() - truth) <= of(both).half(noise.ERROR / 2)[best] * narrower)
    row = {"metric": metric, "configurations": str(n), "seeds": str(seeds)} | percent({"luck of the best": luck}, 0)
    row |= percent({"as said": said}, 0) if np.isfinite(said).all() else {"as said": "unknown"}
    if seeds > 1:
        row |= percent({"the best's holds": chosen, "beaten": beaten, "a control called apart": controls})
    else:
        row |= dict.fromkeys(("the best's holds", "beaten", "a control called apart"), "unknown")
    return row | percent({"luck by fresh seeds": fresh, "its interval holds": holds})


def recipes(metric: str, seeds: int, studies: int) -> dict[str, str]:
    """Recipes with seeds that they share: equal in truth, and as they are."""
    random, (trials, every) = np.random.default_rng(7), trainings(metric)
    truths, count = every.mean(axis=1), every.shape[1]
    held, wrong, beaten, told, plain, pairs = [], [], [], [], [], np.triu_indices(len(every), 1)
    for _ in range(studies):
        drawn = np.sort(random.permutation(count)[:seeds])
        values = every[:, drawn]
        of_means = Noise(*noise_of_means(trials[trials["seed"].isin(drawn)], metric).pipe(arrays))
        apart, means = noise.critical(of_means, slice(None), slice(None), noise.ERROR / 2)[pairs], values.mean(axis=1)
        off, gap = (np.abs(of[pairs[0]] - of[pairs[1]]) for of in (means - truths, means))
        held.append(np.abs(means - truths) <= of_means.half(noise.ERROR / 2) * np.sqrt(1 - seeds / count))
        wrong.append(off > apart)
        beaten.append(noise.beaten((means - truths)[:, None], [of_means]).mean())
        told.append(gap > apart)
        plain.append(gap > pooled(values))
    shares = {"intervals hold": held, "equal pairs called apart": wrong, "beaten": beaten}
    row = {"metric": metric, "recipes": str(len(every)), "seeds": str(seeds)} | percent(shares)
    return row | percent({"pairs told": told, "by the pooled t": plain}, 0)


def arrays(parts: pd.DataFrame) -> list[np.ndarray]:
    return [np.array(list(parts[name]), float) for name in parts]


def kernels(number: int, studies: int, spreads: np.ndarray) -> str:
    """Share of studies in which one of equal kernels at equal rate is called worse, 12 configurations each; in turn of
    these spreads."""
    random, wrong = np.random.default_rng(2), 0
    spread = np.repeat(np.resize(spreads, number), 12)
    for _ in range(studies):
        rate = np.exp(random.normal(3, 0.4, 12 * number))
        rows = pd.DataFrame({"kernel": np.repeat([f"k{k}" for k in range(number)], 12), "rate_nats": rate})
        rows["rate_is"], rows[GOAL.metric] = "exact", 50 - 10 * np.log(rate) + spread * random.normal(size=len(rows))
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
            if len(found) and found["low"].notna().all():
                held.append(pd.Series(truth(found["x"])).between(found["low"], found["high"]).mean())
        row[name] = f"{100 * np.mean(held):.1f} %" if held else "no band"
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=400)
    studies = parser.parse_args().studies
    text = f"{studies} studies a row. What the columns are: see the benchmark's docstring.\n"

    def section(title: str, rows: list[dict[str, str]]) -> None:
        nonlocal text
        text += f"\n## {title}\n\n{markdown(rows)}"
        print(f"{title}: {time.monotonic() - began:.0f} s", flush=True)

    began = time.monotonic()
    section("Equal configurations", [equal(kind, size, studies) for kind in NOISES for size in SIZES])
    cases = [(kind, size, fresh) for kind in CONFIRMED for size in ((7, 2), (30, 3), (100, 2)) for fresh in (2, 3)]
    section("The same, with fresh seeds for the best and the controls", [confirmed(*case, studies) for case in cases])
    section("A difference between the best and the runner-up", [power(size, studies) for size in SIZES])
    sizes = [(metric, size) for metric in METRICS for size in ((6, 1), (7, 2), (6, 3))]
    section("Real trainings: seeds of one recipe as configurations", [one_recipe(*of, studies) for of in sizes])
    sizes = [(metric, seeds) for metric in METRICS for seeds in (2, 3, 5)]
    section("Real trainings: recipes on the same seeds", [recipes(*of, studies) for of in sizes])
    spreads = {"of equal spread": np.ones(1), "of unequal spread": UNEQUAL}
    equals = [{"kernels": str(n)} | {name: kernels(n, studies, of) for name, of in spreads.items()} for n in (2, 4, 9)]
    section("Equal kernels at equal rate: one is called worse", equals)
    section("Importance", [importances(n, studies // 4) for n in (12, 30, 50, 200, 1000)])
    section("The band of slices holds the truth", [bands(n, studies // 4) for n in (10, 30, 60, 150)])
    write_result("verdicts", "How often what the report says of differences is wrong", text)


if __name__ == "__main__":
    main()
