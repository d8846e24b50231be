"""The machines of a study: Ray started or joined, and how many trials fit at a time."""

import contextlib
import logging
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping

import ray

from evae.cluster import private
from evae.cluster.access import environment, knock, on_this_machine_only
from evae.cluster.demand import AUTO, Demand
from evae.cluster.losses import leaving
from evae.cluster.versions import devices
from evae.errors import UserError
from evae.hardware import accelerator

private.quieten()
private.name_driver()

PRELOADED = "evae.cluster.trainable,evae.cluster.worker"
"""What those processes import."""
COUNT_EVERY_S = 2.0
"""How long a count of the machines holds."""


class Slots:
    """Room for trials, each of `workers` processes with these many CPU cores and GPUs, and at most `at_once` at a time.
    With several `lanes`, so many trials share one such process.

    Machines come and go, so the room is counted anew whenever it is asked for. Where it `grows`, trials may be under
    way before there are machines for them: who has to wait for one makes the cluster start it.
    """

    def __init__(
        self, workers: int, cpus: float, gpus: float, at_once: int | None = None, grows: bool = False, lanes: int = 1
    ):
        self.workers, self.cpus, self.gpus, self.lanes = workers, cpus, gpus, lanes
        self.at_once, self.grows = at_once or sys.maxsize, grows
        self.began = self.counted = time.monotonic()
        self.last = self.now()
        self.slot_s = 0.0
        self.idle_gpus = 0.0
        """How many GPUs Ray counts that the study leaves alone, since torch cannot use them."""
        self.cuda = False
        """Whether a process has a GPU of CUDA's, which lanes can share."""

    @property
    def resources(self) -> dict[str, float]:
        """What Tune's actor of a trial takes. One that only leads a worker group leaves the cores to its workers."""
        if self.workers > 1:
            return {"CPU": 0, "node:__internal_head__": 0.001}
        # Ray counts in parts of 10,000, and those of all lanes must not come to more than the whole.
        return {kind: math.floor(1e4 * n / self.lanes) / 1e4 for kind, n in (("CPU", self.cpus), ("GPU", self.gpus))}

    @property
    def need(self) -> str:
        """What a trial takes, in words."""
        if self.lanes > 1:
            return f"a lane, of which {self.lanes} share {self.cpus:g} CPUs and {self.gpus:g} GPUs"
        return f"{self.workers} worker(s) with {self.cpus:g} CPUs and {self.gpus:g} GPUs each"

    def now(self) -> int:
        """How many trials fit on the machines that are there."""
        # A worker is on one node; those of a worker group may be on several.
        places = sum(
            math.floor(min(node.get("CPU", 0) / self.cpus, node.get("GPU", 0) / self.gpus if self.gpus else math.inf))
            for node in _living()
        )
        return min(places * self.lanes // self.workers, self.at_once)

    def room(self) -> int:
        """How many trials may be under way now."""
        clock = time.monotonic()
        if clock - self.counted > COUNT_EVERY_S:
            self.slot_s += self.last * (clock - self.counted)
            self.last, self.counted = self.now(), clock
        return self.at_once if self.grows else self.last

    def mean(self) -> float:
        """How many trials fitted, on average since the first count."""
        elapsed = self.counted - self.began
        return self.slot_s / elapsed if elapsed > 0 else float(self.last)


def _living() -> list[Mapping[str, float]]:
    """The resources of each node that is alive and stays."""
    away = leaving()
    return [node["Resources"] for node in ray.nodes() if node["Alive"] and node.get("NodeID") not in away]


@contextlib.contextmanager
def ray_session(demand: Demand, trains: bool = True) -> Iterator[None]:
    """Ray on this machine alone, where no other machine reaches it, or joined at the demand's address; shut down or
    left at the end. Where nothing `trains`, its processes import nothing in advance.

    Raises UserError when Ray does not start here, when nothing answers at the address, and when that asks for a token
    that this process does not have.
    """
    address = demand.address
    for name in ("ray", "ray.tune", "ray.train"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if address:
        knock(address)
    preloads = trains and _most_cores_train(demand) and private.PRELOAD not in os.environ
    with (
        contextlib.nullcontext() if address else on_this_machine_only(),
        contextlib.nullcontext() if address else private.without_helpers(),
        environment({private.PRELOAD: PRELOADED} if preloads else {}),
    ):
        try:
            # Without an explicit address Ray joins any cluster it finds a trace of, even a dead one.
            with contextlib.nullcontext() if address else private.patiently():
                ray.init(
                    address=address or "local",
                    num_cpus=None if address else needed_cores(demand),
                    include_dashboard=None if address else False,
                    log_to_driver=False,
                    logging_level=logging.CRITICAL,
                )
        except Exception as error:  # Ray has no class of its own for some of its failures
            raise _not_there(address, " ".join(str(error).split())) from None
        if threading.current_thread() is threading.main_thread():
            # Ray's handler prints a stack and ends the process; a polite kill shall be recorded like Ctrl-C.
            signal.signal(signal.SIGTERM, signal.default_int_handler)
        started = private.started()
        try:
            yield
        finally:
            ray.shutdown()
            private.await_end(started)


def _not_there(address: str | None, why: str) -> UserError:
    """Ray did not start here, or was not joined at the address, for the reason that it gives."""
    if address is None:
        return UserError(
            f"Ray does not start on this machine: {why.rstrip('.')}. It needs free memory, room below /tmp (or in the "
            "folder RAY_TMPDIR, whose path must be short) and in /dev/shm, and gives up after three minutes where "
            "other programs take all cores. Make room, and start again."
        )
    if "Version mismatch" in why:
        return UserError(
            f"the cluster at {address!r} and this process have other versions: {why}. Install both from the same lock "
            "file, with the same Python."
        )
    return UserError(
        f"no Ray cluster answers at {address!r}: {why}. Start one with `ray start --head`, or leave --address out to "
        "use this machine alone."
    )


def needed_cores(demand: Demand) -> int:
    """How many of this machine's cores Ray is told of: it starts a process for each at once, and more than there are
    trials for would import torch for nothing."""
    here = private.cores()
    if demand.trials_at_once is None:
        return here
    return min(here, math.ceil(demand.trials_at_once * demand.workers * demand.cpus))


def _most_cores_train(demand: Demand) -> bool:
    """Whether Ray's first processes will be Tune's actors that train, on about every core: then they may all import
    torch in advance. A worker group is started later, by Ray Train, and who works in a lane's process needs none."""
    cores = needed_cores(demand)
    at_once = min(cores / demand.cpus, demand.trials_at_once or cores)
    own = demand.workers == 1 and demand.lanes in (1, AUTO)
    return own and 2 * at_once >= cores and (demand.gpus == 0 or accelerator() == "cpu")


def find_slots(demand: Demand) -> Slots:
    """The room for the study's trials. Raises UserError when not even one fits, and no machines can be waited for.

    Where the demand leaves it open, a process has a GPU if there are any that torch can use. The workers of one trial
    need CUDA for that: Ray gives them no other device.
    """
    nodes, grows = _living(), bool(demand.address and demand.trials_at_once)
    have = {kind: sum(node.get(kind, 0) for node in nodes) for kind in ("CPU", "GPU")}
    # The head of a cluster that grows may lead without a GPU, and those of machines to come are asked for.
    there = set()
    if have["GPU"]:
        there = devices() if demand.address else {accelerator()}
    usable = there & ({"cuda"} if demand.workers > 1 else {"cuda", "mps"})
    if demand.workers > 1 and demand.gpus and there and not usable:
        raise UserError(
            f"the {demand.workers} workers of a trial cannot share the GPUs that are here, which are none of CUDA's: "
            "give --gpus-per-worker 0, or leave --workers-per-trial out."
        )
    gpus = demand.gpus if demand.gpus is not None else float(bool(usable))
    lanes = demand.lanes if demand.may_share and demand.lanes != AUTO else 1
    slots = Slots(demand.workers, demand.cpus, gpus, demand.trials_at_once, grows, lanes)
    if gpus and lanes > 1 and there and "cuda" not in there:
        raise UserError(
            "lanes share CPUs or a GPU of CUDA's, which is not here: give --lanes 1, or --gpus-per-worker 0"
        )
    slots.cuda = bool(gpus and "cuda" in there)
    slots.idle_gpus = have["GPU"] if demand.gpus is None and not usable else 0
    if slots.room() < 1:
        raise UserError(
            f"a trial asks for {slots.need}, but there are {have['CPU']:g} CPUs and {have['GPU']:g} GPUs on "
            f"{len(nodes)} node(s); lower --workers-per-trial, --cpus-per-worker or --gpus-per-worker, or give "
            "--trials-at-once on a cluster that starts machines when they are needed."
        )
    return slots
