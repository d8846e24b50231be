"""Trains every point of a small grid of the kernel space, and records what each epoch measured.

    python benchmarks/record_grid.py

The table (benchmarks/results/grid.parquet) is what benchmarks/search.py replays: a row for each trial and epoch, with
the objectives on the validation split measured after every epoch, although a study measures them only at rungs and at
the end. A run that was interrupted goes on where it stopped. About three quarters of an hour of one core.
"""

import argparse
import multiprocessing
from pathlib import Path

import pyarrow.parquet as pq
import torch
from _grid import BASE, points
from _record import RESULTS

from evae import data
from evae.evaluation import evaluate
from evae.metrics.features import load_features
from evae.metrics.reference import reference
from evae.recipe import Recipe
from evae.results.store import Store
from evae.training import Diverged, Training

KEPT = ("gen_fd_", "rec_fd_", "gen_sharpness", "rec_sharpness", "rec_psnr_db", "distortion_nats", "rate_nats")
"""The metrics that are recorded, of the validation split."""


def prepare() -> None:
    global images, features, references
    torch.set_num_threads(1)
    images = data.load(BASE.data)
    features = load_features(BASE.evaluation.features)
    references = {"validation": reference(images.validation, images.train, features)}


def record(recipe: Recipe) -> list[dict[str, object]]:
    """A trial's rows; one that diverges ends with a row without objectives."""
    training, rows = Training(recipe, images), []
    key = {"configuration": recipe.configuration(), "seed": recipe.seed}
    try:
        while not training.finished:
            trained = training.train_epoch()
            measured = evaluate(training, features, references).metrics
            kept = {name: measured[name] for name in measured if name.removeprefix("val_").startswith(KEPT)}
            rows.append(key | {"epoch": training.epoch, "train_s": trained["train_s"], "state": "running"} | kept)
        rows[-1]["state"] = "finished"
    except Diverged:
        rows.append(key | {"epoch": training.epoch + 1, "train_s": 0.0, "state": "diverged"})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=multiprocessing.cpu_count())
    parser.add_argument("--scratch", default="grid-being-recorded", help="where trials are kept until all are done")
    given = parser.parse_args()
    store = Store(given.scratch)
    store.prepare()
    missing = [point for point in points() if not store.rows("epochs", point.configuration())]
    with multiprocessing.get_context("spawn").Pool(given.processes, prepare) as pool:
        for rows in pool.imap_unordered(record, missing):
            store.write("epochs", rows[0]["configuration"], rows)
            print(rows[-1], flush=True)
    table = store.read("epochs")
    for index, field in enumerate(table.schema):
        # Single precision is plenty for a comparison of searches, and half as large.
        if field.type == "double":
            table = table.set_column(index, field.name, table.column(index).cast("float"))
    pq.write_table(table, Path(RESULTS) / "grid.parquet", compression="zstd")


if __name__ == "__main__":
    main()
