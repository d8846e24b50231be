"""How a worker group's leader and its workers speak to each other, and who clears up after a leader that died.

Two small actors in processes of their own, which import neither torch nor what needs it, and so are there at once.
"""

import threading
import time
from typing import Any

import ray
from ray.util.placement_group import PlacementGroup, remove_placement_group

from evae.cluster.losses import DIED

FETCH_S = 5.0
"""How long a worker waits on the board before it asks again, so that it notices when its group has gone."""
LOOK_EVERY_S = 2.0
"""How often a caretaker looks whether the leader still lives."""


class Board:
    """Where a worker group's commands hang, one at a time, until all its workers have done them.

    A command waits for the slowest worker, also where the workers need not meet in it: the next one would take its
    place, and whoever had not fetched it yet would do another than the rest.

    Every start of the group's processes is an `era`. A command is meant for an era: what the processes of an earlier
    one still do is ignored, and who waits for them is told that they were lost.
    """

    def __init__(self, workers: int) -> None:
        self.changed = threading.Condition()
        self.workers = workers
        self.era = 0
        self.nodes: frozenset[str] = frozenset()
        """On which nodes of Ray's the processes of this era are."""
        self.number, self.command = 0, None
        self.done: dict[int, Any] = {}
        """What each rank has answered to the command that hangs here."""
        self.closed: str | None = None

    def enlist(self, nodes: frozenset[str]) -> tuple[int, int]:
        """The first rank reports that a new set of processes is ready, and where they are: its era, and the last
        command before it."""
        with self.changed:
            self.era, self.command, self.done, self.nodes = self.era + 1, None, {}, nodes
            self.changed.notify_all()
            return self.era, self.number

    def post(self, era: int, name: str, arguments: tuple) -> int | None:
        """Hang up a command for the processes of `era`; its number, or None where they have been replaced."""
        with self.changed:
            if era != self.era:
                return None
            self.number += 1
            self.command, self.done = (name, arguments), {}
            self.changed.notify_all()
            return self.number

    def fetch(self, era: int, after: int) -> tuple[str, Any]:
        """What the workers of `era` shall do after command `after`: a command, "wait" or "leave"."""
        with self.changed:
            self.changed.wait_for(lambda: self.number > after or self.era != era or self.closed, FETCH_S)
            if self.era != era or self.closed:
                return "leave", None
            return ("do", self.command) if self.number > after else ("wait", None)

    def answer(self, number: int, rank: int, value: Any) -> None:
        """The rank has done the command; `value` counts for the first one only."""
        with self.changed:
            if number == self.number:
                self.done[rank] = value
                self.changed.notify_all()

    def fail(self, number: int, error: Exception) -> None:
        """A rank cannot do the command, for which the others need not wait."""
        with self.changed:
            if number == self.number:
                self.done = dict.fromkeys(range(self.workers), error)
                self.changed.notify_all()

    def read(self, era: int, number: int) -> tuple[str, Any]:
        """The answer to a command: "answer", "lost" where its processes have been replaced, "closed" or "wait"."""
        with self.changed:
            self.changed.wait_for(lambda: self._is_done(number) or self.era != era or self.closed, FETCH_S)
            if self._is_done(number):
                return "answer", self.done[0]
            if self.closed:
                return "closed", self.closed
            return ("lost", None) if self.era != era else ("wait", None)

    def _is_done(self, number: int) -> bool:
        return number == self.number and len(self.done) == self.workers

    def current(self, before: int) -> tuple[int, frozenset[str], str | None]:
        """The era after `before`, or `before` if there is none yet; the nodes of its processes; and why the worker
        group is closed, if it is."""
        with self.changed:
            self.changed.wait_for(lambda: self.era != before or self.closed, FETCH_S)
            return self.era, self.nodes, self.closed

    def close(self, reason: str) -> None:
        with self.changed:
            self.closed = self.closed or reason
            self.changed.notify_all()

    def lives(self) -> None:
        """Answers as long as the leader, whose actor this is, lives."""


class Caretaker:
    """Gives the cores of a worker group back when its leader has died.

    With the leader all its actors die, the board and the workers too, but the placement group that reserved their
    cores stays until the whole job ends. (Ray Train has an actor against that, which needs the dashboard.) This actor
    is detached, so that it outlives the leader, and ends itself.
    """

    def __init__(self, board: Any):
        self.board = board
        self.group: PlacementGroup | None = None

    def hold(self, group: PlacementGroup) -> None:
        """The workers that are there now are in this placement group."""
        self.group = group

    def watch(self) -> None:
        """Returns only once the board is gone."""
        while True:
            try:
                ray.get(self.board.lives.remote())
            except DIED:
                break
            time.sleep(LOOK_EVERY_S)
        if self.group is not None:
            remove_placement_group(self.group)
        ray.actor.exit_actor()
