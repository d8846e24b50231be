"""Trials that lose their process, or with it their whole machine. The one counts, the other does not: a trial is given
up that kills its process again and again, and not for being on machines that are taken away."""

import time
from collections.abc import Set
from dataclasses import dataclass

import ray
from ray.exceptions import OutOfMemoryError, RayActorError

from evae.cluster import private

LOOK_EVERY_S = 5.0
"""How often a process asks whether its machine is about to leave."""
IN_A_ROW = 20
"""So many machines, or shared processes, a trial may lose one after the other without another epoch. More, and it kills
them itself."""

DIED = RayActorError, OutOfMemoryError
"""What Ray raises where the process of an actor is gone: its own kill for the machine's memory has another class."""


class MachineLeaves(Exception):
    """The machine is about to leave the cluster, and takes no new work: the trial goes on elsewhere."""


class WorkersLost(Exception):
    """The workers of a trial cannot be brought back; the text says why."""


class WorkerFailed(Exception):
    """A worker in another process failed by itself: its error in words, and the stack trace."""

    def __init__(self, error: str, trace: str):
        super().__init__(error, trace)
        self.error, self.trace = error, trace

    def __str__(self) -> str:
        return self.error


class PackLost(Exception):
    """The process that trained a trial, beside others in its lanes, has died."""


@dataclass(frozen=True)
class Loss:
    """Why a trial's process is gone, in words, and whether that was its machine's doing, or may have been that of a
    trial with which it `shared` a process."""

    why: str
    machine: bool
    shared: bool = False


def loss(error: str) -> Loss:
    """What Ray means by the error that it raised when a trial's process was gone."""
    if "low on memory" in error:
        return Loss("out of memory: Ray killed its process before the machine had none left", False)
    if MachineLeaves.__name__ in error:
        return Loss("its machine is about to leave the cluster", True)
    if PackLost.__name__ in error:
        return Loss("the process of its lane died (killed, or out of memory)", False, shared=True)
    if "its node has died" in error or "node died" in error:
        return Loss("lost with its machine, which died or could not be reached any more", True)
    if "receives a SIGTERM" in error:
        # As all processes do when a machine shuts down, sometimes before Ray misses the machine.
        return Loss("its process was told to end, as when a machine shuts down", True)
    if "is temporarily unavailable" in error:
        return Loss("its machine could not be reached any more", True)
    if "error raised in its creation task" in error:
        return Loss(_last_line(error), False)
    if "actor died" in error or "actor is dead" in error:
        return Loss("its process died (killed, or out of memory)", False)
    return Loss(_last_line(error), False)


def _last_line(error: str) -> str:
    """What a stack trace ends with: the error's class and words."""
    return error.strip().rpartition("\n")[2][:1000]


class Losses:
    """How often one trial has been lost. Its process may die `allowed` times. One that it shares with other trials may
    die so often before the trial has trained an epoch in it: who kills that one gets no further."""

    def __init__(self, allowed: int):
        self.allowed = allowed
        self.machines: list[bool] = []
        """Of each loss, whether it was its machine's doing."""
        self.before = 0
        """How many of them came before its latest epoch."""
        self.shared = 0
        """How often a process that it shared has died since then."""
        self.idle = 0
        """How often one did in which it had trained nothing."""

    def add(self, machine: bool, shared: bool = False) -> None:
        if shared:
            self.shared, self.idle = self.shared + 1, self.idle + 1
        else:
            self.machines.append(machine)

    def trained(self) -> None:
        """It has trained an epoch, which it may have trained before."""
        self.idle = 0

    def progress(self) -> None:
        """It has trained another epoch."""
        self.before, self.shared = len(self.machines), 0

    @property
    def too_many(self) -> str | None:
        """Why the trial is given up, if it is."""
        if (processes := self.machines.count(False)) > self.allowed:
            return f"its process died {processes} times, of which --max-failures allows {self.allowed}"
        if self.idle > self.allowed:
            return (
                f"the process of its lane died {self.idle} times in a row before it had trained an epoch, of which "
                f"--max-failures allows {self.allowed}"
            )
        if self.shared > IN_A_ROW:
            return f"the process of its lane died {self.shared} times without another epoch in between"
        if (machines := self.machines[self.before :].count(True)) > IN_A_ROW:
            return f"it lost {machines} machines without another epoch in between"
        return None


def gone(nodes: Set[str]) -> bool:
    """Whether one of these nodes of Ray's is no longer there, or is about to leave."""
    alive = {node["NodeID"] for node in ray.nodes() if node["Alive"]}
    return bool(nodes - alive or nodes & leaving())


def leaving() -> Set[str]:
    """The ids of the nodes that are about to leave."""
    return private.draining() if ray.is_initialized() and private.has_clusters() else set()


class Watch:
    """Tells a process when its machine is about to leave, such as one that was told to shut down."""

    def __init__(self) -> None:
        self.looked = time.monotonic()

    def machine_leaves(self) -> bool:
        """Whether it is. Asks at most every few seconds, and says no in between."""
        if time.monotonic() - self.looked < LOOK_EVERY_S:
            return False
        self.looked = time.monotonic()
        return ray.is_initialized() and ray.get_runtime_context().get_node_id() in leaving()
