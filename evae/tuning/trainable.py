"""The Tune trainable: one step is one epoch, and one actor serves trial after trial.

An actor writes its trials' rows itself, before Tune hears of them: what Tune reports as done is in the store. An
error of a trial ends that trial with its reason recorded and leaves the actor to the next one.
"""

import os
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import torch
from ray import tune

from evae.checkpoints import dump_model, dump_training, restore_training
from evae.data.base import ImageSet
from evae.errors import UserError
from evae.evaluation import evaluate
from evae.metrics.features import load_features
from evae.metrics.reference import Reference
from evae.recipe import Recipe
from evae.training import Diverged, Training
from evae.tuning.store import Store, to_json

CHECKPOINT_EVERY_S = 10.0
"""A killed trial repeats at most this much training, give or take an epoch."""


@dataclass(frozen=True)
class Job:
    """One trial to be trained: a configuration with a seed, and how the search came to it."""

    configuration: str
    number: int
    seed: int
    attempt: int
    params: Mapping[str, Any]
    recipe: Mapping[str, Any]
    origin: str
    label: str | None

    @property
    def trial(self) -> str:
        return f"{self.configuration}-s{self.seed}"


@dataclass(frozen=True)
class Setting:
    """What all trials of a study share: placed in the object store once per node and read without copies."""

    study: str
    store: Store
    images: ImageSet
    references: Mapping[str, Reference]
    cpus: float
    gpus: float
    keep_weights: bool


def opening_row(study: str, job: Job) -> dict[str, Any]:
    """The row of a trial as it begins."""
    return {
        "study": study,
        "trial": job.trial,
        "configuration": job.configuration,
        "number": job.number,
        "origin": job.origin,
        "label": job.label,
        "seed": job.seed,
        "attempt": job.attempt,
        "state": "running",
        "reason": None,
        "method": job.recipe["posterior"]["family"],
        "params": to_json(job.params),
        "recipe": to_json(job.recipe),
        "epochs": 0,
        "epochs_planned": job.recipe["optimisation"]["epochs"],
        "started_at": datetime.now(UTC),
        "ended_at": None,
        "train_s": 0.0,
        "evaluate_s": 0.0,
        "launch_s": 0.0,
        "wall_s": 0.0,
        **{f"param_{name}": value for name, value in job.params.items()},
    }


class EpochTrainable(tune.Trainable):
    """Trains the Job in `config["job"]` epoch by epoch in this process."""

    def setup(self, config: dict[str, Any], setting: Setting) -> None:
        # More threads than cores make concurrent trainings ten times slower, so each takes only its share.
        self.threads = max(1, int(setting.cpus))
        torch.set_num_threads(self.threads)
        self.device = torch.device("cuda" if setting.gpus > 0 else "cpu")
        self.setting = setting
        self.features = None
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.job: Job = new_config["job"]
        self.training: Training | None = None
        return True

    def step(self) -> dict[str, Any]:
        try:
            if self.training is None:
                self._launch()
            self._epoch()
            if self.training.finished:
                self._finish()
        except Diverged as error:
            self._end("diverged", str(error))
        except Exception as error:
            self._end("failed", f"{type(error).__name__}: {error}"[:1000])
        return {"trial": self.job.trial, "done": self.row["state"] != "running", **self._numbers()}

    def cleanup(self) -> None:
        self.training = None

    def _launch(self) -> None:
        """Build the model, or take up an interrupted trial where its last checkpoint left it."""
        started = time.perf_counter()
        store, job = self.setting.store, self.job
        self.epochs: list[dict[str, Any]] = []
        self.row = opening_row(self.setting.study, job) | {
            "slot": f"{platform.node()}:{os.getpid()}",
            "device": self.device.type,
            "threads": self.threads,
        }
        self.begun = time.perf_counter()
        self.checkpointed = self.begun
        recipe = Recipe.from_dict(job.recipe)
        self.training = Training(recipe, self.setting.images, self.device)
        self.row |= {
            "precision": self.training.precision,
            "parameters": sum(p.numel() for p in self.training.model.parameters()),
        }
        if (saved := store.read_bytes("checkpoints", f"{job.trial}.safetensors")) is not None:
            self._resume(saved)
        self.row["launch_s"] += time.perf_counter() - started
        store.write("trials", job.trial, [self.row])

    def _resume(self, saved: bytes) -> None:
        try:
            restore_training(self.training, saved)
        except UserError:
            return
        done = self.training.epoch
        self.epochs = [e for e in self.setting.store.rows("epochs", self.job.trial) if e["epoch"] <= done]
        self.row |= {
            "epochs": done,
            "train_s": sum(e["train_s"] for e in self.epochs),
            "evaluate_s": sum(e["evaluate_s"] for e in self.epochs),
        }

    def _epoch(self) -> None:
        started = datetime.now(UTC)
        trained = self.training.train_epoch()
        clock = time.perf_counter()
        validated = self.training.validate()
        evaluate_s = time.perf_counter() - clock
        ended = datetime.now(UTC)
        self.epochs.append(
            {
                "trial": self.job.trial,
                "configuration": self.job.configuration,
                "seed": self.job.seed,
                "epoch": self.training.epoch,
                "started_at": started,
                "ended_at": ended,
                "evaluate_s": evaluate_s,
                **trained,
                **validated,
            }
        )
        self.row["epochs"] = self.training.epoch
        self.row["train_s"] += trained["train_s"]
        self.row["evaluate_s"] += evaluate_s
        self.row["images_per_s"] = trained["images_per_s"]
        if time.perf_counter() - self.checkpointed > CHECKPOINT_EVERY_S and not self.training.finished:
            self._write_epochs()
            self.setting.store.write_bytes("checkpoints", f"{self.job.trial}.safetensors", dump_training(self.training))
            self.checkpointed = time.perf_counter()

    def _finish(self) -> None:
        """Evaluate, write pictures and weights, and last of all the row that says the trial is finished."""
        clock, store, trial = time.perf_counter(), self.setting.store, self.job.trial
        recipe, images = self.training.recipe, self.training.images
        if self.features is None:
            self.features = load_features(recipe.evaluation.features, self.device)
        result = evaluate(self.training, self.features, self.setting.references)
        key = {"trial": trial, "configuration": self.job.configuration, "seed": self.job.seed}
        store.write("images", trial, [key | picture for picture in result.pictures])
        if self.setting.keep_weights:
            weights = dump_model(self.training.model, recipe, images.image_size, images.channels)
            store.write_bytes("weights", f"{trial}.safetensors", weights)
        self.row |= result.metrics | {"distances": to_json(result.distances)}
        self.row["evaluate_s"] += time.perf_counter() - clock
        self._end("finished")

    def _end(self, state: str, reason: str | None = None) -> None:
        self._write_epochs()
        wall_s = time.perf_counter() - self.begun
        self.row |= {"state": state, "reason": reason, "ended_at": datetime.now(UTC), "wall_s": wall_s}
        self.setting.store.write("trials", self.job.trial, [self.row])
        self.setting.store.delete_bytes("checkpoints", f"{self.job.trial}.safetensors")
        self.training = None

    def _write_epochs(self) -> None:
        if self.epochs:
            self.setting.store.write("epochs", self.job.trial, self.epochs)

    def _numbers(self) -> dict[str, Any]:
        """The row without what Tune has no use for; Tune's own names must not be overwritten."""
        left_out = ("recipe", "params", "distances", "study", "trial", "started_at", "ended_at")
        return {n: value for n, value in self.row.items() if n not in left_out and not isinstance(value, list)}
