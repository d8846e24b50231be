"""MAPA-inspired inference on curves whose density is known, beside what it is to be measured against.

    python benchmarks/mapa.py [--seeds 3] [--epochs 100] [--sets arc abs moon ...] [--processes 2]

Trains the controls of `search_spaces/mapa.py` as `studies/mapa.py` does, on each set of points and with each seed,
which is that of the points too, but without Ray, each on one thread:

- gap: what the mean test log likelihood lacks to that of the model that made the points, in nats; sigma: the learned
  standard deviation over the true one; both with the standard deviation between seeds;
- codes: how well the encoder's means tell the true model's, as a correlation;
- width, order and perplexity: of the weights over training points; gap of the bound: what it lacks to the exact
  likelihood of the empirical model, in nats;
- passes: codes that the decoder has decoded in training, and the training's seconds, on a machine that was busy.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from statistics import fmean, stdev

import torch
from _record import table, write_result

from evae import data
from evae.data.curves import SHAPES
from evae.data.points import TRAIN
from evae.evaluation import evaluate
from evae.training import Training
from search_spaces.mapa import space
from studies.mapa import MapaStudy


def train(points: str, seed: int, epochs: int) -> dict[str, dict[str, float]]:
    """The columns of each control's trial by its label, with its seconds and its decoder's passes."""
    torch.set_num_threads(1)
    base = MapaStudy(data=f"points:{points},seed={seed}", epochs=epochs).base_recipe()
    images, found = data.load(base.data), {}
    for control in space(base).controls:
        training = Training(replace(space(base).recipe(control.params, base), seed=seed), images)
        rows = [training.train_epoch() for _ in range(epochs)]
        metrics = evaluate(training, None, {"test": None}, pictures=False).metrics
        sums = {name: sum(row[name] for row in rows) for name in ("train_s", "decoder_passes")}
        found[control.label] = metrics | sums
    return found


def cell(values: list[float], digits: int = 3) -> str:
    spread = f" ({stdev(values):.{digits}f})" if len(values) > 1 else ""
    return f"{fmean(values):.{digits}f}{spread}"


def shown(label: str, found: list[dict[str, float]]) -> dict[str, str]:
    def mean(name: str, form: str) -> str:
        return f"{fmean(one[name] for one in found):{form}}" if name in found[0] else "–"

    orders = sorted({str(one["index_order"]) for one in found if "index_order" in one})
    return {
        "arm": label,
        "gap": cell([one["log_likelihood_gap_nats"] for one in found]),
        "sigma": cell([one["scale_ratio"] for one in found], 2),
        "codes": mean("code_correlation", ".3f"),
        "width": mean("index_width", ".3f"),
        "order": "; ".join(orders) or "–",
        "perplexity": mean("index_perplexity", ".0f"),
        "gap of the bound": mean("index_gap_nats", ".3f"),
        "passes": mean("decoder_passes", ",.0f"),
        "seconds": mean("train_s", ".0f"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=MapaStudy.epochs)
    parser.add_argument("--sets", nargs="+", default=list(SHAPES))
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    steps = given.epochs * -(-TRAIN // MapaStudy.batch_size)
    parts = [f"{TRAIN} points, {given.epochs} epochs of them, {steps:,} steps for all alike; {given.seeds} seeds.\n"]
    with ProcessPoolExecutor(given.processes) as pool:
        jobs = {
            name: [pool.submit(train, name, seed, given.epochs) for seed in range(given.seeds)] for name in given.sets
        }
        for name, running in jobs.items():
            found = [job.result() for job in running]
            rows = [shown(label, [one[label] for one in found]) for label in found[0]]
            parts.append(f"## {name}, noise {SHAPES[name][1]:.3g}\n\n{table(rows)}")
            write_result("mapa", "MAPA-inspired inference on points", "\n".join(parts))


if __name__ == "__main__":
    main()
