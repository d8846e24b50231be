"""The machines of a study: Ray started or joined, and how many trials fit at a time."""

import contextlib
import logging
import math
import os
import signal
import socket
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
ANSWER_S = 5.0
"""A cluster's head that does not answer by then is not there."""


@dataclass(frozen=True)
class Slots:
    """`count` trials at a time, each of `workers` processes with these many CPU cores and GPUs."""

    count: int
    workers: int
    cpus: float
    gpus: float

    @property
    def resources(self) -> dict[str, float]:
        """What Tune's actor of a trial takes. One that only leads a gang leaves the cores to the gang."""
        if self.workers > 1:
            return {"CPU": 0, "node:__internal_head__": 0.001}
        return {"CPU": self.cpus, "GPU": self.gpus}


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
        if address and ":" in address:
            # Ray itself keeps trying for minutes.
            host, _, port = address.rpartition("://")[2].rpartition(":")
            socket.create_connection((host, int(port)), timeout=ANSWER_S).close()
        # Without an explicit address Ray joins any cluster it finds a trace of, even a dead one.
        ray.init(
            address=address or "local",
            include_dashboard=None if address else False,
            log_to_driver=False,
            logging_level=logging.CRITICAL,
        )
    except (OSError, ValueError, RuntimeError) as error:
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
    """Whether Ray's first processes will be Tune's actors that train, on about every core: then they may all import
    torch in advance. The workers of a gang are started later, by Ray Train."""
    cores = os.cpu_count() or 1
    at_once = min(cores / options.cpus_per_worker, options.trials_at_once or cores)
    return options.workers_per_trial == 1 and 2 * at_once >= cores and not torch.cuda.is_available()


def find_slots(options: StudyOptions) -> Slots:
    """How many trials fit on the machines that Ray has. Raises UserError when not even one does."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    cores, cards = (sum(node.get(kind, 0) for node in nodes) for kind in ("CPU", "GPU"))
    workers, cpus = options.workers_per_trial, options.cpus_per_worker
    gpus = options.gpus_per_worker if options.gpus_per_worker is not None else float(cards > 0)
    # A worker is on one node; those of a gang may be on several.
    places = sum(
        math.floor(min(node.get("CPU", 0) / cpus, node.get("GPU", 0) / gpus if gpus else math.inf)) for node in nodes
    )
    if (count := places // workers) < 1:
        raise UserError(
            f"a trial asks for {workers} worker(s) with {cpus:g} CPUs and {gpus:g} GPUs each, but there are {cores:g} "
            f"CPUs and {cards:g} GPUs on {len(nodes)} node(s); lower --workers-per-trial, --cpus-per-worker or "
            "--gpus-per-worker."
        )
    return Slots(min(count, options.trials_at_once or count), workers, cpus, gpus)
