"""Trains a few recipes with many seeds each, and records what each training measured on both splits.

    python benchmarks/record_seeds.py

The table (benchmarks/results/seeds.parquet) is where benchmarks/verdicts.py takes real trainings from: a row for each
recipe and seed. Configurations of the same seed share their initialisation where their networks agree, and the order
of their images. About seven minutes of one core.
"""

import argparse
import multiprocessing
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from _record import RESULTS

from evae import data
from evae.data.base import DataRecipe
from evae.evaluation import evaluate
from evae.metrics.features import load_features
from evae.metrics.reference import reference
from evae.networks.conv import Conv
from evae.posteriors.autoencoder import Autoencoder
from evae.posteriors.evae import Evae
from evae.posteriors.gaussian import Gaussian
from evae.posteriors.kernel import KernelKL
from evae.recipe import Evaluation, Optimisation, Recipe
from evae.training import Training

SEEDS = 24
BASE = Recipe(
    data=DataRecipe(source="mnist-5k", train_images=1600, validation_images=250, test_images=250),
    network=Conv(width=0.25),
    latent=16,
    optimisation=Optimisation(batch_size=40, epochs=8, learning_rate=3e-3),
    evaluation=Evaluation(features="efficientnet-lite0-b2"),
)
POSTERIORS = {
    "vae": Gaussian(beta=1.0),
    "beta-vae 0.1": Gaussian(beta=0.1),
    "beta-vae 0.01": Gaussian(beta=0.01),
    "autoencoder": Autoencoder(),
    "evae": Evae(),
    "epanechnikov": KernelKL(kernel="epanechnikov", beta=0.3),
    "triweight": KernelKL(kernel="triweight", beta=0.3),
    "uniform": KernelKL(kernel="uniform", beta=1.0),
}
KEPT = ("gen_fd_", "rec_fd_", "gen_sharpness", "rec_sharpness", "rec_psnr_db", "distortion_nats", "rate_nats")
"""The metrics that are recorded, of both splits; and real images' sharpness."""


def prepare() -> None:
    global images, features, references
    torch.set_num_threads(1)
    images = data.load(BASE.data)
    features = load_features(BASE.evaluation.features)
    splits = {"test": images.test, "validation": images.validation}
    references = {name: reference(of, images.train, features) for name, of in splits.items()}


def record(job: tuple[str, int]) -> dict[str, object]:
    name, seed = job
    training = Training(replace(BASE, posterior=POSTERIORS[name], seed=seed), images)
    while not training.finished:
        training.train_epoch()
    measured = evaluate(training, features, references, pictures=False).metrics
    kept = {k: v for k, v in measured.items() if k.removeprefix("val_").startswith((*KEPT, "real_sharpness"))}
    return {"recipe": name, "seed": seed} | kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=multiprocessing.cpu_count())
    rows, jobs = [], [(name, seed) for seed in range(SEEDS) for name in POSTERIORS]
    with multiprocessing.get_context("spawn").Pool(parser.parse_args().processes, prepare) as pool:
        for row in pool.imap(record, jobs):
            rows.append(row)
            print(f"{len(rows)} of {len(jobs)}: {row}", flush=True)
    table = pa.table(
        {name: [row.get(name) for row in rows] for name in dict.fromkeys(key for row in rows for key in row)}
    )
    pq.write_table(table, Path(RESULTS) / "seeds.parquet", compression="zstd")


if __name__ == "__main__":
    main()
