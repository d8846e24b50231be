"""What are the numbers of a short training worth, with BatchNorm's running averages and with statistics of its weights?

    python benchmarks/batch_statistics.py [--seeds 4] [--epochs 6]

The default kernel sweep's images, networks and optimiser; four posteriors, each with every seed, trained once and then
measured on the test split with each of these statistics: the running averages that training leaves, and those of the
weights as they are, on the first 250 training images (what `Training` keeps), 500, 1,000 and all of them.

A row has means over seeds, and their standard deviations in brackets: what the statistics add to the spread between
replicates. Single trials are "off" by so much from what all training images give, from the least to the most.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from statistics import fmean, stdev

import torch
from _record import table, write_result
from torch import Tensor

from evae import batch_statistics
from evae.data import load, tensor
from evae.data.base import ImageSet
from evae.evaluation import evaluate
from evae.metrics.features import Features, load_features
from evae.metrics.reference import Reference, reference
from evae.posteriors import Autoencoder, Evae, Gaussian
from evae.recipe import Recipe
from evae.streams import STATISTICS
from evae.training import STATISTICS_IMAGES, Training, generator
from studies.kernel_sweep import KernelSweep

MODELS = {"VAE": Gaussian(), "beta-VAE 0.1": Gaussian(beta=0.1), "EVAE": Evae(), "autoencoder": Autoencoder()}
COUNTS = (STATISTICS_IMAGES, 500, 1000)
RUNNING, ALL = "running averages", "all images"
COLUMNS = {
    "rec distance": "rec_fd_efficientnet_lite0_b10",
    "rec sharpness gap": "rec_sharpness_gap",
    "distortion, nats": "distortion_nats",
    "gen distance": "gen_fd_efficientnet_lite0_b10",
}


class Watched(Training):
    """Keeps the running averages that an epoch left, which `Training` replaces."""

    running: dict[str, Tensor]

    def _estimate_statistics(self) -> None:
        self.running = {name: value.clone() for name, value in self.model.named_buffers()}
        super()._estimate_statistics()


def measured(
    recipe: Recipe, images: ImageSet, features: Features, real: Reference, seconds: dict[str, list[float]]
) -> Iterator[tuple[str, dict]]:
    """(statistics, metrics of the trained recipe with them); adds what an estimate took to `seconds`."""
    training = Watched(recipe, images)
    while not training.finished:
        training.train_epoch()
    seen = tensor(images.train).float().div(255)
    for name, count in [(RUNNING, 0), *((f"{n:,} images", n) for n in COUNTS), (ALL, len(seen))]:
        started = time.process_time()
        if count:
            batch_statistics.estimate(training.model, seen[:count], generator("cpu", recipe.seed, 0, STATISTICS))
        else:
            for buffer, value in training.running.items():
                training.model.get_buffer(buffer).copy_(value)
        seconds.setdefault(name, []).append(time.process_time() - started)
        training._losses.clear()
        yield name, evaluate(training, features, {"test": real}, pictures=False).metrics


def row(model: str, name: str, found: list[dict], best: list[dict]) -> dict[str, str]:
    cells = {"model": model, "statistics": name}
    for label, column in COLUMNS.items():
        values = [each[column] for each in found]
        off = [100 * (value / each[column] - 1) for value, each in zip(values, best, strict=True)]
        cells[label] = f"{fmean(values):.4g} ({stdev(values):.2g})"
        cells[label] += "" if name == ALL else f", off {min(off):+.1f} to {max(off):+.1f} %"
    return cells


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=4, help="replicates of each model, two at least")
    parser.add_argument("--epochs", type=int, default=6)
    given = parser.parse_args()
    torch.set_num_threads(1)
    base = KernelSweep(epochs=given.epochs).base_recipe()
    images, features = load(base.data), load_features(base.evaluation.features)
    real = reference(images.test, images.train, features)
    rows, seconds = [], {}
    for model, posterior in MODELS.items():
        found: dict[str, list[dict]] = {}
        for seed in range(given.seeds):
            recipe = replace(base, posterior=posterior, seed=seed)
            for name, metrics in measured(recipe, images, features, real, seconds):
                found.setdefault(name, []).append(metrics)
        rows += [row(model, name, each, found[ALL]) for name, each in found.items()]
        print(rows[-len(found) :], flush=True)
    took = ", ".join(f"{name} {1000 * fmean(each):.0f} ms" for name, each in seconds.items() if name != RUNNING)
    setting = (
        f"{len(images.train):,} digits, {given.epochs} epoch(s), {given.seeds} seeds; what is shown: see the "
        f"benchmark's docstring. An estimate took {took} (CPU, one thread)."
    )
    write_result("batch_statistics", "BatchNorm's statistics after a short training", f"{setting}\n\n{table(rows)}")


if __name__ == "__main__":
    main()
