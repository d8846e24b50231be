"""What share of a default trial goes into measuring it, and what of that into its ex-post density?

    python benchmarks/evaluation.py

Trains each control of the kernel sweep with its default options and one thread, as a trial does: after every epoch the
statistics of BatchNorm and the losses on the validation split, in the end the evaluation. This is measured with and
without the default density, in turns, and the medians are taken. The share is (after epochs + evaluation) / (training +
after epochs + evaluation), all in seconds of this process's CPU, so that other work matters little. Two minutes on one
core. Expect a share of 0.17 to 0.20, of which the density has 0.05: codes of all training images, the fit, and the
features of as many samples as the test split has. The networks' own arithmetic takes nearly all of the rest.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median

import torch
from _record import table, write_result

from evae import data
from evae.data.base import ImageSet
from evae.evaluation import evaluate
from evae.evaluation.codes import training_codes
from evae.metrics.features import Features, load_features
from evae.metrics.reference import Reference, references
from evae.recipe import Recipe
from evae.training import Training, generator
from search_spaces.kernels import SPACE
from studies.kernel_sweep import KernelSweep


def seconds(call: Callable[[], object]) -> float:
    clock = time.process_time()
    call()
    return time.process_time() - clock


def without(recipe: Recipe) -> Recipe:
    return replace(recipe, evaluation=replace(recipe.evaluation, densities=()))


def measure(
    recipe: Recipe, images: ImageSet, features: Features, real: dict[str, Reference], searched: list[str], turns: int
) -> dict[str, float]:
    """Seconds of each part of a trial."""
    training = Training(recipe, images)
    trained = after = 0.0
    while not training.finished:
        trained += seconds(training.train_epoch)
        after += seconds(training.validate)
    statistics = training.epoch * median(seconds(training._estimate_statistics) for _ in range(turns))
    found: dict[str, list[float]] = {"evaluation": [], "without density": [], "codes": [], "fit": []}
    for _ in range(turns):
        for name, given in (("evaluation", recipe), ("without density", without(recipe))):
            training.recipe = given
            training._losses.pop("test", None)  # the validation split's are those of the last epoch
            found[name].append(seconds(lambda: evaluate(training, features, real, searched=searched)))
        codes = training_codes(training)
        found["codes"].append(seconds(lambda: training_codes(training)))
        (density,) = recipe.evaluation.densities
        found["fit"].append(seconds(lambda: density.fit(codes, generator("cpu", 0))))  # noqa: B023
    parts = {"training": trained - statistics, "after epochs": after + statistics}
    return parts | {name: median(each) for name, each in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=5, help="evaluations of each kind")
    given = parser.parse_args()
    torch.set_num_threads(1)
    options = KernelSweep()
    base = options.base_recipe()
    images, features = data.load(base.data), load_features(options.features)
    real = references({split: getattr(images, split) for split in ("validation", "test")}, images.train, features)
    searched = [metric for metric, _ in options.resolved_objectives()]
    rows = []
    for control in SPACE.controls:
        found = measure(SPACE.recipe(control.params, base), images, features, real, searched, given.turns)
        row = {"model": control.label} | {f"{name}, s": f"{value:.3f}" for name, value in found.items()}
        for name, end in (("share", "evaluation"), ("share without density", "without density")):
            measuring = found["after epochs"] + found[end]
            row[name] = f"{measuring / (found['training'] + measuring):.3f}"
        rows.append(row)
    write_result("evaluation", "What a default trial's evaluation costs", table(rows))


if __name__ == "__main__":
    main()
