"""The machines of a study: Ray started or joined, and how many trials fit at a time."""

import contextlib
import logging
import math
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
os.environ.setdefault("RAY_DEDUP_LOGS", "0")
# The store and the console are ours; Tune's own loggers and snapshots only cost time between epochs.
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", "100000")
# Ctrl-C must reach us, so that trials in flight are recorded as cancelled.
os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")

import ray
import torch
from ray.tune.execution import class_cache

from evae.errors import UserError
from evae.tuning.options import StudyOptions

# Tune asks for workers with an environment of their own, for a variable of PyTorch Lightning. Without it, its actors
# are the processes that Ray starts at once, a core each, and that import what a trial needs while data is prepared.
class_cache.DEFAULT_ENV_VARS.clear()
PRELOADED = "torch._dynamo,evae.tuning.trainable"
"""What those processes import; the first optimiser would import torch's compiler."""


@dataclass(frozen=True)
class Slots:
    """`count` trials at a time, each with these many CPU cores and GPUs."""

    count: int
    cpus: float
    gpus: float


@contextlib.contextmanager
def ray_session(options: StudyOptions) -> Iterator[None]:
    """Ray on this machine alone, or joined at the options' address; shut down or left at the end.

    Raises UserError when nothing answers at the address.
    """
    address = options.address
    if _most_cores_train(options):
        os.environ.setdefault("RAY_preload_python_modules", PRELOADED)
    for name in ("ray", "ray.tune", "ray.train"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        # Without an explicit address Ray joins any cluster it finds a trace of, even a dead one.
        ray.init(
            address=address or "local",
            include_dashboard=None if address else False,
            log_to_driver=False,
            logging_level=logging.CRITICAL,
        )
    except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
        raise UserError(
            f"no Ray cluster answers at {address!r}: {error}. Start one with `ray start --head`, "
            "or leave --address out to use this machine alone."
        ) from None
    if threading.current_thread() is threading.main_thread():
        # Ray's handler prints a stack and ends the process; a polite kill shall be recorded like Ctrl-C.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        ray.shutdown()


def _most_cores_train(options: StudyOptions) -> bool:
    """Whether trials will take about a process for every core, so that all of them may import torch in advance."""
    cores = os.cpu_count() or 1
    at_once = min(cores / options.cpus_per_trial, options.trials_at_once or cores)
    return 2 * at_once >= cores and not torch.cuda.is_available()


def find_slots(options: StudyOptions) -> Slots:
    """How many trials fit on the machines that Ray has. Raises UserError when not even one does."""
    there = ray.cluster_resources()
    cores, cards = there.get("CPU", 0), there.get("GPU", 0)
    gpus = options.gpus_per_trial if options.gpus_per_trial is not None else float(cards > 0)
    count = math.floor(cores / options.cpus_per_trial)
    if gpus > 0:
        count = min(count, math.floor(cards / gpus))
    if count < 1:
        raise UserError(
            f"a trial asks for {options.cpus_per_trial:g} CPUs and {gpus:g} GPUs, but there are {cores:g} CPUs and "
            f"{cards:g} GPUs; lower --cpus-per-trial or --gpus-per-trial."
        )
    return Slots(min(count, options.trials_at_once or count), options.cpus_per_trial, gpus)
