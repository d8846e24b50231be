"""Ray's documented way of tuning with Ray Train: a Tune function that builds a TorchTrainer for each trial."""

import logging
import os
import tempfile
import time
from dataclasses import replace
from typing import Any

import ray
import torch
from ray import train, tune
from ray.train.torch import TorchTrainer
from ray.tune.integration.ray_train import TuneReportCallback

from evae.data import load
from evae.posteriors.gaussian import Gaussian
from evae.ranks import Ranks
from evae.recipe import Recipe
from evae.training import Training


def train_trial(config: dict[str, Any]) -> None:
    """In the Train worker: the same training as in a study, with a report after every epoch."""
    torch.set_num_threads(1)
    context = train.get_context()
    ranks = Ranks(context.get_world_rank(), context.get_world_size())
    training = Training(Recipe.from_dict(config["recipe"]), ray.get(config["images"]), ranks=ranks)
    started, train_s, evaluate_s = time.time(), 0.0, 0.0
    while not training.finished:
        train_s += training.train_epoch()["train_s"]
        clock = time.perf_counter()
        measured = training.validate()
        evaluate_s += time.perf_counter() - clock
        times = {"started": started, "ended": time.time(), "train_s": train_s, "evaluate_s": evaluate_s}
        train.report(measured | times)


def drive_trial(config: dict[str, Any]) -> None:
    """In the Tune trial: workers on a core each, the first one's reports passed on to Tune."""
    TorchTrainer(
        train_trial,
        train_loop_config=config,
        scaling_config=train.ScalingConfig(num_workers=config["workers"], resources_per_worker={"CPU": 1}),
        run_config=train.RunConfig(
            name=tune.get_context().get_trial_id(), storage_path=config["folder"], callbacks=[TuneReportCallback()]
        ),
    ).fit()


def run_documented(recipe: Recipe, trials: int, slots: int, workers: int) -> list[dict[str, Any]]:
    """The last report of each of `trials` trainings of the recipe with as many betas, `slots` at a time, on `workers`
    processes each."""
    images = load(recipe.data)
    recipes = [replace(recipe, posterior=Gaussian(beta=0.5 + 1.5 * i / trials)).to_dict() for i in range(trials)]
    # Plain Ray: nothing that a study sets up to start faster.
    os.environ.pop("RAY_preload_python_modules", None)
    with (
        ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level=logging.CRITICAL),
        tempfile.TemporaryDirectory() as folder,
    ):
        # A driver that holds a core waits for ever for the core that its worker needs.
        driver = tune.with_resources(drive_trial, {"CPU": 0, "node:__internal_head__": 0.001})
        results = tune.Tuner(
            driver,
            param_space={
                "recipe": tune.grid_search(recipes),
                "images": ray.put(images),
                "folder": folder,
                "workers": workers,
            },
            tune_config=tune.TuneConfig(max_concurrent_trials=slots),
            run_config=tune.RunConfig(name="documented", storage_path=folder, verbose=0),
        ).fit()
        return [result.metrics for result in results]
