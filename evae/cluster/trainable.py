"""The Tune trainable: one step is one epoch, and one actor serves trial after trial.

An actor writes its trials' rows itself, before Tune hears of them: what Tune reports as done is in the store. Where
they cannot be written, the trial's steps do nothing but try again, and say so to Tune. An error of a trial ends that
trial with its reason recorded and leaves the actor to the next one. Where the actor dies, Tune starts the trial anew in
another, which takes it up at its last checkpoint. An actor whose machine is about to leave the cluster does not wait
for that.
"""

import contextlib
import os
import platform
import time
import traceback
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ray import tune

from evae.cluster.checked import require_same
from evae.cluster.losses import DIED, MachineLeaves, PackLost, Watch, WorkerFailed, WorkersLost
from evae.cluster.setting import Setting
from evae.errors import Diverged, UserError
from evae.identity import identity
from evae.numerics import NUMERICS
from evae.plugins import load
from evae.results.measures import parsed
from evae.results.rows import opening_row, shortened
from evae.results.store import StoreError, to_json
from evae.search.job import Job, Kept

if TYPE_CHECKING:
    from evae.evaluation import Evaluated

CHECKPOINT_EVERY_S = 10.0
"""A killed trial repeats at most this much training, give or take an epoch."""
RETRY_S = 1.0
"""Between two tries to write results."""


class EpochTrainable(tune.Trainable):
    """Trains the Job in `config["job"]` epoch by epoch: in this process, in a worker group of several, or in a lane of
    one that it shares with other trials."""

    def setup(self, config: dict[str, Any], setting: Setting) -> None:
        self.setting = setting
        self.watch = Watch()
        self.worker = worker(setting)
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.job: Job = new_config["job"]
        self.begun = False
        self.measured: dict[str, Any] = {}
        self.row = opening_row(self.setting.study, self.job)
        self.unwritten: deque[tuple[str, tuple]] = deque()
        return True

    def step(self) -> dict[str, Any]:
        """An epoch; or where results could not be written, another try at that. Raises MachineLeaves before an epoch
        for which there may be no time."""
        waits_for, self.epoch_row = None, None
        # That of a worker group's leader is the cluster's head, with which all ends; the workers look themselves.
        running = self.row["state"] == "running"
        if running and self.setting.workers == 1 and self.watch.machine_leaves():
            self._leave()
        try:
            if not self.unwritten:
                self._advance()
            self._write()
        except StoreError as error:
            waits_for = str(error)
            time.sleep(RETRY_S)
        done = self.row["state"] != "running" and not self.unwritten
        found = {"trial": self.job.trial, "done": done, "waits_for": waits_for, **self._numbers(), **self.measured}
        return found | {"row": dict(self.row), "epoch_row": self.epoch_row} if self.setting.followed else found

    def cleanup(self) -> None:
        self.worker.close()

    def _leave(self) -> None:
        with contextlib.suppress(StoreError):
            if self.begun:
                self._checkpoint()
            self._write()
        raise MachineLeaves

    def _advance(self) -> None:
        try:
            if not self.begun and self.job.kept is not None and self._measure_kept(self.job.kept):
                return
            if not self.begun:
                self._launch()
            if self.row["epochs"] < self.row["epochs_planned"]:
                self._epoch()
            if self.row["epochs"] >= self.row["epochs_planned"]:
                self._finish()
        except (StoreError, PackLost, *DIED):
            raise
        except Diverged as error:
            self._end("diverged", str(error))
        except Exception as error:
            self._end("failed", in_words(error), trace(error))

    def _later(self, method: str, *arguments: Any) -> None:
        """Have a method of the store called at the end of this step, after what is waiting already."""
        self.unwritten.append((method, arguments))

    def _write(self) -> None:
        while self.unwritten:
            method, arguments = self.unwritten[0]
            getattr(self.setting.store, method)(*arguments)
            self.unwritten.popleft()

    def _launch(self) -> None:
        """Build the model, or take up a trial where its last checkpoint left it, or a shorter training of it ended."""
        store, job = self.setting.store, self.job
        files = (store.read_bytes(folder, f"{job.trial}.safetensors") for folder in ("checkpoints", "states"))
        saved = next((data for data in files if data is not None), None)
        # A row that still runs is this trial's, before it lost its process.
        before = [row for row in store.rows("trials", job.trial) if row["attempt"] == job.attempt]
        known = store.rows("epochs", job.trial) if saved is not None else []
        self.begun = True
        self.epochs: list[dict[str, Any]] = []
        self.row |= {
            "restarts": 1 + before[0].get("restarts", 0) if before else 0,
            "slot": f"{platform.node()}:{os.getpid()}",
            "threads": self.setting.threads,
            "workers": self.setting.workers,
            "lanes": self.setting.lanes,
        }
        self.started = self.checkpointed = time.perf_counter()
        begun = self.worker.begin(job.recipe, saved)
        self.row |= {name: getattr(begun, name) for name in ("device", "precision", "processor", "parameters")}
        digest = self.setting.images.digest
        named = identity(job.recipe, digest, begun.precision)
        self.row |= {"identity": named, "data_digest": digest, "numerics": NUMERICS}
        self.row["plugins"] = to_json({plugin.name: plugin.digest for plugin in self.setting.plugins})
        if begun.epochs:
            self._resume(known, begun.epochs)
        self.row["launch_s"] += time.perf_counter() - self.started
        self._later("write", "trials", job.trial, [dict(self.row)])
        self._write()

    def _measure_kept(self, kept: Kept) -> bool:
        """Measure what was trained before, without training; whether that was the end of it. What cannot be measured so
        stays as it is if it is of this study, and is trained if it is of another."""
        trial, given = self.job.trial, dict(kept.row)
        try:
            begun = self.worker.begin(self.job.recipe, kept.store.read_bytes("weights", f"{kept.trial}.safetensors"))
            if begun.epochs < self.row["epochs_planned"]:
                raise UserError("its weights cannot be used")
            result = self.worker.evaluate()
            require_same(given, result.metrics)
            epochs = [] if kept.of_study else kept.store.rows("epochs", kept.trial)
        except (PackLost, *DIED):
            raise
        except Exception as error:
            self.row["reason"] = f"what was kept of it could not be measured: {error}"[:1000]
            self.row = given if kept.of_study else self.row
            return kept.of_study
        if not kept.of_study:
            self._later("write", "trials", trial, [dict(self.row)])
        key = {"trial": trial, "configuration": self.job.configuration, "seed": self.job.seed}
        self.epochs = [epoch | key for epoch in epochs]
        self._write_epochs()
        self._write_model(result)
        known = parsed(given.get("distances")) | result.distances
        self.row = given | {"recipe": self.row["recipe"]} | result.metrics | {"distances": to_json(known)}
        self._later("write", "trials", trial, [self.row])
        self.worker.end()
        return True

    def _resume(self, known: list[dict[str, Any]], done: int) -> None:
        self.epochs = [epoch for epoch in known if epoch["epoch"] <= done]
        self.row |= {
            "epochs": done,
            "train_s": sum(e["train_s"] for e in self.epochs),
            "evaluate_s": sum(e["evaluate_s"] for e in self.epochs),
        }

    def _epoch(self) -> None:
        key = {"trial": self.job.trial, "configuration": self.job.configuration, "seed": self.job.seed}
        epoch = key | self.worker.train_epoch()
        self.row["stepped"] = epoch.pop("stepped")
        at_rung = epoch["epoch"] in self.job.rungs
        self.measured = self._measure(epoch) if at_rung else {}
        self.epochs.append(epoch)
        self.epoch_row = epoch
        self.row["epochs"] = epoch["epoch"]
        self.row["train_s"] += epoch["train_s"]
        self.row["evaluate_s"] += epoch["evaluate_s"]
        self.row["decoder_passes"] = sum(each.get("decoder_passes") or 0 for each in self.epochs)
        self.row["images_per_s"] = epoch["images_per_s"]
        if at_rung:
            # Where the trial is stopped now, nobody asks this process about it again.
            self.row["wall_s"] = time.perf_counter() - self.started
            self._write_epochs()
            self._later("write", "trials", self.job.trial, [dict(self.row)])
        finished = epoch["epoch"] >= self.row["epochs_planned"]
        # Where one of the trials in a process kills it again and again, the others must get on in between.
        every_s = 0.0 if self.setting.lanes > 1 and self.row["restarts"] else CHECKPOINT_EVERY_S
        if time.perf_counter() - self.checkpointed > every_s and not finished:
            self._checkpoint()

    def _checkpoint(self) -> None:
        self._write_epochs()
        self._later("write_bytes", "checkpoints", f"{self.job.trial}.safetensors", self.worker.dump())
        self.checkpointed = time.perf_counter()

    def _measure(self, epoch: dict[str, Any]) -> dict[str, Any]:
        """The validation metrics after an epoch, also put into its row, by which a later session judges as this one."""
        clock = time.perf_counter()
        measured = self.worker.measure()
        epoch |= measured
        epoch["evaluate_s"] += time.perf_counter() - clock
        return measured

    def _finish(self) -> None:
        """Evaluate, write pictures and weights, and last of all the row that says the trial is finished."""
        clock = time.perf_counter()
        self.measured = {}
        result = self.worker.evaluate()
        self._write_model(result)
        if self.setting.keep == "states":
            self._write_epochs()  # before it: whoever goes on from the state has them
            self._later("write_bytes", "states", f"{self.job.trial}.safetensors", self.worker.dump())
        self.row |= result.metrics | {"distances": to_json(result.distances)}
        self.row["evaluate_s"] += time.perf_counter() - clock
        self._end("finished")

    def _write_model(self, result: "Evaluated") -> None:
        """Its pictures and weights."""
        trial = self.job.trial
        key = {"trial": trial, "configuration": self.job.configuration, "seed": self.job.seed}
        for kind, drawn in {"images": result.pictures, "clouds": result.clouds}.items():
            if drawn:
                self._later("write", kind, trial, [key | each for each in drawn])
        if self.setting.keep != "none":
            self._later("write_bytes", "weights", f"{trial}.safetensors", self.worker.weights())

    def _end(self, state: str, reason: str | None = None, traceback: str | None = None) -> None:
        self._write_epochs()
        wall_s = time.perf_counter() - self.started
        self.row |= {"state": state, "reason": reason, "traceback": traceback}
        self.row |= {"ended_at": datetime.now(UTC), "wall_s": wall_s}
        self.row["restarts"] += self.worker.losses
        self._later("write", "trials", self.job.trial, [self.row])
        self._later("delete_bytes", "checkpoints", f"{self.job.trial}.safetensors")
        self.worker.end()

    def _write_epochs(self) -> None:
        if self.epochs:
            self._later("write", "epochs", self.job.trial, list(self.epochs))

    def _numbers(self) -> dict[str, Any]:
        """The row without what Tune has no use for; Tune's own names must not be overwritten."""
        left_out = ("traceback", "recipe", "params", "distances", "study", "trial", "started_at", "ended_at")
        return {n: value for n, value in self.row.items() if n not in left_out and not isinstance(value, list)}


def worker(setting: Setting) -> Any:
    """What trains the trials of one actor. An actor that only speaks for its trials imports no torch."""
    if setting.lanes > 1:
        from evae.cluster.packs import LaneWorker

        return LaneWorker(setting)
    load(setting.plugins)
    if setting.workers > 1:
        from evae.cluster.worker_group import WorkerGroup

        return WorkerGroup(setting)
    from evae.cluster.worker import worker_of

    return worker_of(setting)


def in_words(error: Exception) -> str:
    """Why a trial failed, for its row."""
    words = str(error) if isinstance(error, WorkerFailed) else f"{type(error).__name__}: {error}"
    # PyTorch has an error class for GPUs only.
    lacking = "MemoryError" in words.partition(":")[0] or "can't allocate memory" in words
    return f"{'out of memory: ' if lacking else ''}{words}"[:1000]


def trace(error: Exception) -> str | None:
    """The stack trace of an error that words do not tell, for the trial's row."""
    if isinstance(error, UserError | WorkersLost):
        return None
    return shortened(error.trace if isinstance(error, WorkerFailed) else "".join(traceback.format_exception(error)))
