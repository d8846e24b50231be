"""Which pair of objectives pulls apart? If one model were the best in both, there would be nothing to weigh.

    python studies/two_stage.py --results RESULTS --name mnist-5k --densities mixture
    python studies/two_stage.py --results RESULTS --name fashion-mnist --densities mixture --data fashion-mnist \\
        --train-images 4000 --validation-images 500 --test-images 500
    python studies/two_stage.py --results RESULTS --name photos --densities mixture --data photos --image-size 32 \\
        --epochs 12
    python benchmarks/objectives.py RESULTS/mnist-5k RESULTS/fashion-mnist RESULTS/photos

Reads these studies, of seven models each. Of each pair of objectives: Spearman's correlation between the models' means
on test images, both with their better side down, so that 1 means one order for both and -1 the opposite; the models on
the front, the best in the first objective first; and how many of the others are not beaten beyond noise.
"""

import argparse
from itertools import combinations

import numpy as np
import pandas as pd
from _record import table, write_result
from scipy.stats import spearmanr

from analysis.study.load import load
from evae.search import noise
from evae.search.pareto import nondominated

METRICS = {
    "samples from the prior": "gen_fd_{features}",
    "samples from the mixture": "xpd_mixture_fd_{features}",
    "reconstructions": "rec_fd_{features}",
    "sharpness gap of reconstructions": "rec_sharpness_gap",
    "sharpness gap of the mixture's samples": "xpd_mixture_sharpness_gap",
}


def pairs(trials: pd.DataFrame, features: str) -> str:
    done = trials[trials["state"] == "finished"]
    values = {
        title: done.pivot(index="label", columns="seed", values=metric.format(features=features)).dropna()
        for title, metric in METRICS.items()
    }
    rows = []
    for first, second in combinations(values, 2):
        given = [values[first], values[second]]
        names = given[0].index
        means = np.stack([of.mean(axis=1) for of in given], axis=1)
        front = nondominated(means)
        unbeaten = ~noise.beaten(means, [noise.of(of.to_numpy()) for of in given])
        order = [i for i in np.argsort(means[:, 0]) if front[i]]
        rows.append(
            {
                "objectives": f"{first}; {second}",
                "correlation": f"{spearmanr(*means.T).statistic:.2f}",
                "front": ", ".join(names[i] for i in order),
                "others not beaten": str(int((unbeaten & ~front).sum())),
            }
        )
    return table(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", nargs="+")
    text = "Distances are Fréchet distances; a gap is |sharpness / real images' sharpness - 1|.\n"
    for results in parser.parse_args().results:
        study = load(results)
        features = next(c for c in study.trials if c.startswith("gen_fd_")).removeprefix("gen_fd_")
        text += f"\n## {study.name}\n\n{pairs(study.trials, features)}"
    write_result("objectives", "Which pair of objectives pulls apart?", text)


if __name__ == "__main__":
    main()
