"""A warm worker group: workers of one long-lived TorchTrainer that train trial after trial together.

Ray's documented way, a TorchTrainer for every trial, starts processes each time (benchmarks/results/worker-groups.md).
Here the processes and their process group stay; a trial is a command to them. They fetch commands from a board, an
actor that also notices when Ray has replaced them: a trial that lost a worker continues from its last finished epoch.
Where the leader itself dies, its group goes with it, a caretaker gives the cores back, and Tune starts the trial anew.
"""

import logging
import tempfile
import threading
import time
import traceback
from collections.abc import Mapping
from typing import Any

import ray
import torch
from ray import train
from ray.train.torch import TorchTrainer
from ray.util.placement_group import get_current_placement_group
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from evae.cluster.board import Board, Caretaker
from evae.cluster.losses import Losses, MachineLeaves, Watch, WorkerFailed, WorkersLost, gone
from evae.cluster.process_group import process_group
from evae.cluster.setting import Setting
from evae.cluster.worker import Begun, Worker
from evae.errors import Diverged, UserError
from evae.evaluation import Evaluated
from evae.plugins import load
from evae.ranks import Ranks

MISSED_AFTER_S = 30.0
"""A machine that has died is missed by Ray after about half of that."""


def serve(config: dict[str, Any]) -> None:
    """In each worker: do what the board says until it says to leave. Raises MachineLeaves where the machine does, upon
    which Ray Train starts the workers elsewhere."""
    context = train.get_context()
    setting, board = ray.get(config["setting"]), config["board"]
    load(setting.plugins)
    ranks = Ranks(context.get_world_rank(), context.get_world_size())
    device = train.torch.get_device() if setting.gpus > 0 else torch.device("cpu")
    if ranks.rank == 0:
        ray.get(config["caretaker"].hold.remote(get_current_placement_group()))
    given = setting.images, setting.references, device, setting.threads, ranks, setting.searched
    worker = Worker(*given, recomputes=setting.recomputes)
    era, number = _enlist(board, ranks)
    try:
        _obey(worker, board, era, number, ranks.rank)
    finally:
        # A process group that captured steps still use cannot be ended (PyTorch issue 115388).
        worker.end()


def _obey(worker: Worker, board: Any, era: int, number: int, rank: int) -> None:
    watch = Watch()
    while True:
        if watch.machine_leaves():
            raise MachineLeaves
        what, command = ray.get(board.fetch.remote(era, number))
        if what == "leave":
            return
        if what == "do":
            number += 1
            name, arguments = command
            try:
                result = getattr(worker, name)(*arguments)
            except (Diverged, UserError) as error:
                result = error  # on all ranks alike
            except Exception as error:
                # The other ranks may be waiting for this one, so that the group has to start anew. The trial ends if
                # the error was its own; where another rank is gone, Ray knows, and the trial goes on afterwards.
                if not _is_of_the_network(error):
                    failed = WorkerFailed(f"{type(error).__name__}: {error}", traceback.format_exc())
                    ray.get(board.fail.remote(number, failed))
                raise
            ray.get(board.answer.remote(number, rank, result if rank == 0 else None))


def _is_of_the_network(error: Exception) -> bool:
    """Whether a collective failed, which it does where another rank has died. Gloo has no error class of its own."""
    return isinstance(error, torch.distributed.DistError) or any(name in str(error) for name in ("gloo", "NCCL"))


def _enlist(board: Any, ranks: Ranks) -> tuple[int, int]:
    """The first rank enlists all, once all have come so far."""
    place, nodes = [None], [None] * ranks.size
    torch.distributed.all_gather_object(nodes, ray.get_runtime_context().get_node_id())
    if ranks.rank == 0:
        place = [ray.get(board.enlist.remote(frozenset(nodes)))]
    torch.distributed.broadcast_object_list(place, src=0)
    return place[0]


class WorkerGroup:
    """A worker group with the methods of a `Worker`, to be used from the Tune actor that owns it.

    Raises WorkersLost where a trial has lost its workers too often (evae/cluster/losses.py), and where Ray cannot bring
    them back.
    """

    def __init__(self, setting: Setting):
        self.setting = setting
        self.board = ray.remote(num_cpus=0, max_concurrency=setting.workers + 8)(Board).remote(setting.workers)
        # On this node, whose end is the leader's too, but not in this trial's placement group, which ends with it.
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        outliving = {"lifetime": "detached", "scheduling_strategy": here}
        self.caretaker = ray.remote(num_cpus=0, max_concurrency=2, **outliving)(Caretaker).remote(self.board)
        self.caretaker.watch.remote()
        self.closed = False
        self.era, self.nodes = 0, frozenset()
        self.lost: list[frozenset[str]] = []
        """On which nodes the workers were, each time that the trial has lost them."""
        self.counted = Losses(setting.max_failures)
        self.stale = True
        """The processes of `era` are known to be gone, or not there yet: the next ones are to be waited for."""
        self.trial: tuple[Mapping[str, Any], bytes | None] | None = None
        self.thread = threading.Thread(target=self._run, name="workers", daemon=True)
        self.thread.start()

    def begin(self, recipe: Mapping[str, Any], saved: bytes | None) -> Begun:
        self.trial, self.lost, self.counted = (recipe, saved), [], Losses(self.setting.max_failures)
        return self._call("begin", recipe, saved)

    def train_epoch(self) -> dict[str, Any]:
        # As one command: who is lost between the two would train the epoch twice.
        row, saved = self._call("advance")
        self.trial = self.trial[0], saved
        self.counted.progress()
        return row

    def dump(self) -> bytes:
        return self.trial[1]

    def measure(self) -> dict[str, float]:
        return self._call("measure")

    def evaluate(self) -> Evaluated:
        return self._call("evaluate")

    def weights(self) -> bytes:
        return self._call("weights")

    def end(self) -> None:
        self.trial = None

    @property
    def losses(self) -> int:
        """How often the trial has lost workers."""
        return len(self.lost)

    def close(self) -> None:
        """Send the workers home. A worker group serves nothing after that; a second time does nothing."""
        if self.closed:
            return
        self.closed = True
        ray.get(self.board.close.remote("the study has ended"))
        self.thread.join(30)
        ray.kill(self.board)

    def _call(self, name: str, *arguments: Any) -> Any:
        """A command's answer. Where workers were lost meanwhile, those that replace them take up the trial first."""
        fresh = self.stale
        if self.stale:
            self._await_workers()
        while (answer := self._ask(fresh, name, *arguments)) is None:
            before, fresh = self.nodes, True
            self._await_workers()
            if why := self._count(before):
                raise WorkersLost(why)
        (value,) = answer
        if isinstance(value, Exception):
            self.stale = isinstance(value, WorkerFailed)
            raise value
        return value

    def _ask(self, fresh: bool, name: str, *arguments: Any) -> tuple[Any] | None:
        """As `_try`, of workers who may be `fresh`, and not know the trial."""
        if fresh and name != "begin" and self._try("begin", *self.trial) is None:
            return None
        return self._try(name, *arguments)

    def _count(self, nodes: frozenset[str]) -> str | None:
        """Count that workers on these nodes were lost; why the trial is given up, if it is."""
        self.lost.append(nodes)
        self.counted.add(machine=gone(nodes))
        if self.counted.too_many:
            # Ray may have brought other workers before it missed the machine of those that were lost.
            deadline = time.monotonic() + MISSED_AFTER_S
            while not gone(nodes) and time.monotonic() < deadline:
                time.sleep(1.0)
            self.counted.machines = [gone(nodes) for nodes in self.lost]
        return self.counted.too_many

    def _try(self, name: str, *arguments: Any) -> tuple[Any] | None:
        """The answer as a tuple of one, or None where the workers were lost."""
        what, number = "lost", ray.get(self.board.post.remote(self.era, name, arguments))
        if number is not None:
            what = "wait"
        while what == "wait":
            what, value = ray.get(self.board.read.remote(self.era, number))
        if what == "closed":
            raise WorkersLost(value)
        self.stale = what == "lost"
        return None if self.stale else (value,)

    def _await_workers(self) -> None:
        before = self.era
        while self.era == before:
            self.era, self.nodes, closed = ray.get(self.board.current.remote(before))
            if closed:
                raise WorkersLost(closed)
        self.stale = False

    def _run(self) -> None:
        """In a thread: the TorchTrainer, as long as the worker group lives."""
        logging.getLogger("ray.train").setLevel(logging.CRITICAL)
        setting, reason = self.setting, "its workers left"
        try:
            with tempfile.TemporaryDirectory(prefix="evae-workers-") as scratch:
                TorchTrainer(
                    serve,
                    train_loop_config={
                        "board": self.board,
                        "caretaker": self.caretaker,
                        "setting": ray.put(setting),
                    },
                    torch_config=process_group(scratch),
                    scaling_config=train.ScalingConfig(
                        num_workers=setting.workers,
                        use_gpu=setting.gpus > 0,
                        resources_per_worker={"CPU": setting.cpus}
                        | ({"GPU": setting.gpus} if setting.gpus > 0 else {}),
                    ),
                    run_config=train.RunConfig(
                        name="workers",
                        storage_path=scratch,
                        failure_config=train.FailureConfig(max_failures=-1),
                    ),
                ).fit()
        except Exception as error:
            # Ray puts the stack traces of its actors before the words.
            reason = str(error).strip().rpartition("\n")[2] or type(error).__name__
        ray.get(self.board.close.remote(reason))
