"""Do fresh seeds take away what choice adds, and do verdicts that rest on them keep their word?

    python benchmarks/confirmation.py [--studies 600]

Simulates studies of 7, 30 and 100 configurations that are equal in truth, with one seed each, whose luck both splits
share; the kinds of noise are those of benchmarks/verdicts.py. What the search chose (the best, the best of each of
three groups, four controls) gets 1, 2, 3 or 5 fresh seeds, and is judged by the product's own functions. Shares of
studies, whose Monte Carlo error at 5 % of 600 is 0.9 %:

- too good: by how much the best is better than its truth, in standard deviations of a seed, by the seed that chose it
  and by its fresh ones;
- the best's holds: its 95 % interval holds its truth;
- a control, the runner-up: called worse or better than the best by more than noise;
- deceived: said that the search was deceived by luck, because another one is ahead by more than noise.

Power: the chosen best was lucky and is worse by 2 or 3 standard deviations than another confirmed one, which is said.

Real trainings (benchmarks/results/seeds.parquet): of one recipe six seeds are taken for six configurations, the best
chosen on the validation split, and its value on the test split compared with the mean of all 24 seeds of the recipe:
by the seed that was chosen, and by two seeds that took no part. Means over recipes, in percent of the mean.
"""

import argparse

import numpy as np
import pandas as pd
from _record import RESULTS, write_result
from _record import table as markdown
from verdicts import CONTROLS, GOAL, NOISES, columns

from analysis.study.words import ahead, apart_by
from evae.search import noise

GROUPS = 3
FRESH = (1, 2, 3, 5)
CHOSEN_OF = 6
METRICS = {
    "rec_fd_efficientnet_lite0_b2": 1,
    "gen_fd_efficientnet_lite0_b2": 1,
    "rec_sharpness_gap": 1,
    "rec_psnr_db": -1,
}


def judge(fresh: np.ndarray, searched: np.ndarray, who: np.ndarray) -> tuple[float, float, pd.DataFrame]:
    """(fresh mean of the best, half its interval, the rows that words read, by rank) of confirmed configurations `who`
    (k,) with `fresh` (k, seeds) values, ranked by `searched` (k,)."""
    order = np.argsort(searched, kind="stable")
    found = noise.of(fresh, who % GROUPS)
    rows = columns(fresh.mean(axis=1), found, control=who < CONTROLS, confirmed=True, name=who).iloc[order]
    best = int(order[0])
    return float(fresh[best].mean()), float(found.half(noise.ERROR / 2)[best]), rows.reset_index(drop=True)


def choose(searched: np.ndarray) -> np.ndarray:
    """The configurations that are confirmed: controls, and the best of each group, among which is the best of all."""
    groups = np.arange(len(searched)) % GROUPS
    best = [int(np.flatnonzero(groups == g)[searched[groups == g].argmin()]) for g in range(GROUPS)]
    return np.unique([*range(CONTROLS), *best])


def equal(kind: str, n: int, seeds: int, studies: int) -> dict[str, str]:
    random, truth = np.random.default_rng(0), 0.0 if kind == "mean 0" else 10.0
    then, now, inside, controls, second, deceived = ([] for _ in range(6))
    for _ in range(studies):
        values = NOISES[kind](random, (n, 1 + seeds))
        who = choose(values[:, 0])
        mean, half, rows = judge(values[who, 1:], values[who, 0], who)
        then.append(truth - values[:, 0].min())
        now.append(truth - mean)
        inside.append(abs(mean - truth) <= half)
        called = (rows[GOAL.metric] - rows[GOAL.metric].iloc[0]).abs() > apart_by(rows, GOAL)
        controls.append((called & rows["control"])[1:].any())
        second.append(called[1] and not rows["control"][1])
        deceived.append(len(ahead(rows, GOAL)) > 0)
    row = {"noise": kind, "configurations": str(n), "fresh seeds": str(seeds)}
    row |= {"too good, as chosen": f"{np.mean(then):.2f}", "by fresh seeds": f"{np.mean(now):+.2f}"}
    shares = {"the best's holds": inside, "a control": controls, "the runner-up": second, "deceived": deceived}
    return row | {name: f"{100 * np.mean(of):.1f} %" if seeds > 1 else "-" for name, of in shares.items()}


def power(n: int, seeds: int, studies: int) -> dict[str, str]:
    """How often it is said that the chosen best, lucky by as much as need be, is behind the one it was put before."""
    random, row = np.random.default_rng(1), {"confirmed": str(n), "fresh seeds": str(seeds)}
    for by in (2.0, 3.0):
        said = []
        for _ in range(studies):
            truths = np.r_[30 + by, 30.0, np.full(n - 2, 40.0)]
            fresh = truths[:, None] + random.normal(size=(n, seeds))
            rows = judge(fresh, np.arange(float(n)), np.arange(n))[2]
            said.append(1 in set(ahead(rows, GOAL)["name"]))
        row[f"worse by {by:g} sd, said"] = f"{100 * np.mean(said):.0f} %"
    return row


def real(metric: str, sign: int, draws: int) -> dict[str, str]:
    recorded = pd.read_parquet(RESULTS / "seeds.parquet")
    random, then, now, inside = np.random.default_rng(2), [], [], []
    for _, trials in recorded.groupby("recipe"):
        test, validation = trials[metric].to_numpy(float), sign * trials[f"val_{metric}"].to_numpy(float)
        truth = test.mean()
        for _ in range(draws):
            seeds = random.permutation(len(trials))
            best = int(validation[seeds[:CHOSEN_OF]].argmin())
            fresh = np.full((CHOSEN_OF, 2 * CHOSEN_OF), np.nan)  # no two have a seed in common
            for i in range(CHOSEN_OF):
                fresh[i, 2 * i : 2 * i + 2] = test[seeds[CHOSEN_OF + 2 * i : CHOSEN_OF + 2 * i + 2]]
            mean = float(np.nanmean(fresh[best]))
            then.append(sign * (truth - test[seeds[best]]) / truth)
            now.append(sign * (truth - mean) / truth)
            inside.append(abs(mean - truth) <= noise.of(fresh).half(noise.ERROR / 2)[best])
    return {
        "metric": metric,
        "too good, as chosen": f"{100 * np.mean(then):.1f} %",
        "by two fresh seeds": f"{100 * np.mean(now):+.1f} %",
        "the interval holds": f"{100 * np.mean(inside):.1f} %",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=600)
    studies = parser.parse_args().studies
    text = (
        f"{studies} studies a row. What the columns are: see the benchmark's docstring.\n\n## Equal configurations\n\n"
    )
    sizes = [(n, seeds) for n in (7, 30, 100) for seeds in FRESH]
    text += markdown([equal(kind, *size, studies) for kind in NOISES for size in sizes])
    text += "\n## A best that was only lucky\n\n"
    text += markdown([power(n, seeds, studies) for n in (6, 20) for seeds in FRESH[1:]])
    text += "\n## Real trainings\n\n" + markdown([real(*of, studies // 5) for of in METRICS.items()])
    write_result("confirmation", "What fresh seeds say of a best that was chosen", text)


if __name__ == "__main__":
    main()
