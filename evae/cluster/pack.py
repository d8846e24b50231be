"""A pack: one process that trains several trials at once, each in a lane of its own.

A lane is a thread with a `Worker`, and on a GPU with a CUDA stream: it runs exactly the code of a trial alone, the same
kernels in the same order, so its numbers are bit for bit those that the trial has alone, whatever runs beside it. Any
recipe goes beside any other. A trial that diverges or finds no memory ends in its own thread, and a lane that is free
takes the next trial while the others go on. On a GPU each lane's training step is a captured CUDA graph, and the graphs
of all lanes run on their streams beside each other. What an evaluation does for every trial alike is captured, too, in
each of the threads that measure (`evae.recording.functions`).

The other way is to stack the parameters of K models and to train them as one by `torch.vmap`. Grouped operations sum in
another order, so no trial would be what it is alone; all of a pack would need equal shapes, and wait for each other;
and each family, a user's own too, would have to be one that vmap can take. Processes that share a GPU, the third way,
have a host loop and a CUDA context each, and the GPU serves one of them at a time. On an H200, 16 lanes trained 140,000
images/s of the small networks, and one 66,000 (benchmarks/results/gpu.md).

A pack is started before its study's setting is known. What comes first in its process, such as to measure how many
lanes have room (`evae.study.room`), is done in its own threads: what a process and a thread take once, such as a CUDA
context and handles of its libraries, is there when the first trial comes.
"""

import gc
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import is_dataclass
from functools import partial
from threading import Barrier, Lock
from types import SimpleNamespace
from typing import Any, Self

import ray

from evae.cluster.losses import WorkerFailed
from evae.cluster.setting import Setting
from evae.errors import Diverged, UserError
from evae.hardware import accelerator
from evae.lazy import torch
from evae.plugins import load
from evae.recording.functions import PRIORITY

SWITCH_S = 5e-4
MEASURED, AT_ONCE = ("evaluate", "measure"), 4
"""What a worker does in threads that all lanes of a GPU share, and how many there are. Much of it is launched from
Python, of which one thread runs at a time: more of them wait for each other, kernel by kernel. And the first evaluation
of a thread takes nearly three times as long (benchmarks/results/gpu.md), even without what it captures."""
LOST = 70
"""What a process ends with whose GPU answers nothing but errors, as after an address that a kernel must not touch."""
VISIBLE = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")
"""What says which GPUs a process sees: NVIDIA's, and AMD's."""
_LOADING = Lock()


class Threads:
    """Those of a process that trains in lanes: one a lane, made as they are asked for, and where it `measures` some
    that measure what all of them have trained. They are kept, with what each takes once."""

    def __init__(self, cores: int = 1, device: str = "cpu", measures: bool = False):
        """A thread computes with so many cores, and on CUDA in a stream of its own."""
        self.prepare = partial(_prepare, cores, device)
        self.made: list[ThreadPoolExecutor] = []
        to_measure = partial(_prepare, cores, device, PRIORITY)
        self.measuring = ThreadPoolExecutor(AT_ONCE, "measuring", to_measure) if measures else None
        self.warming: list[Future] = []

    def lanes(self, count: int) -> list[ThreadPoolExecutor]:
        """The threads of the first lanes."""
        while len(self.made) < count:
            self.made.append(ThreadPoolExecutor(1, "lane", self.prepare))
        return self.made[:count]

    def measure(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """What the work returns, done in one of those that measure, if there are any."""
        return work(*arguments) if self.measuring is None else self.measuring.submit(work, *arguments).result()

    def warm(self, work: Callable[[], object]) -> None:
        """Begin to do this once in each thread that measures, for what is there afterwards. That it fails says nothing:
        a trial for which the same fails says why."""
        together = Barrier(AT_ONCE)

        def once() -> None:
            together.wait()
            work()

        self.warming = [self.measuring.submit(once) for _ in range(AT_ONCE)]
        for begun in self.warming:
            # Who did not come is not waited for.
            begun.add_done_callback(lambda done: done.exception() and together.abort())

    def settle(self, lanes: int) -> None:
        """Keep the threads of so many lanes alone, and of the GPU's memory nothing that those have had for what came
        first."""
        if self.made or self.warming:
            wait(self.warming)
            self.warming.clear()
            emptied()
        while len(self.made) > lanes:
            self.made.pop().shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.settle(0)
        if self.measuring is not None:
            self.measuring.shutdown()


class Lane:
    """A thread, and what it trains: one trial at a time, for the process `holder`. Threads `measuring`, if there are
    any, measure what it has trained."""

    def __init__(
        self,
        setting: Setting,
        measuring: ThreadPoolExecutor | None = None,
        thread: ThreadPoolExecutor | None = None,
    ):
        self.setting, self.measuring = setting, measuring
        self.holder: int | None = None
        self.thread = thread or ThreadPoolExecutor(1, "lane")
        self.worker: Any = None

    def do(self, name: str, arguments: tuple) -> Any:
        """What the worker's method returns, or the error that it raises."""
        return self.thread.submit(self._do, name, arguments).result()

    def take(self, holder: int | None) -> None:
        """Belong to this process from now on. What the one before has left behind is forgotten, once it has ended."""
        self.holder = holder
        self.thread.submit(self._forget)

    def _do(self, name: str, arguments: tuple) -> Any:
        try:
            if self.worker is None:
                self.worker = self._made()
            work = getattr(self.worker, name)
            if self.measuring is not None and name in MEASURED:
                return light(self.measuring.submit(work, *arguments).result())
            return light(work(*arguments))
        except (Diverged, UserError) as error:
            return error
        except Exception as error:
            if _gpu_is_lost():
                # Nothing works in this process any more: its trials go on in another.
                traceback.print_exc()
                os._exit(LOST)
            return WorkerFailed(f"{type(error).__name__}: {error}", traceback.format_exc())

    def _made(self) -> Any:
        from evae.cluster.worker import worker_of  # imports torch, for which who only speaks of lanes does not wait

        with _LOADING:
            load(self.setting.plugins)
        made = worker_of(self.setting)
        if made.device.type == "cuda":
            own_stream()
        return made

    def _forget(self) -> None:
        if self.worker is not None:
            self.worker.end()


class Pack:
    """The lanes of one GPU, or on CPUs of one trial's cores. An actor: its process is theirs."""

    def __init__(self, cores: int, gpu: str | None):
        """A thread computes with so many `cores`; `gpu` is the one that this process shall see."""
        if gpu is not None:
            os.environ.update(dict.fromkeys(VISIBLE, gpu))
        threads_that_train()
        self.threads = Threads(cores, "cpu" if gpu is None else accelerator(), measures=gpu is not None)
        self.lanes: list[Lane] | None = None
        self.taking = Lock()

    def first(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """What comes before the lanes are open: what `work` returns, which is given the threads."""
        return work(self.threads, *arguments)

    def process(self) -> int:
        """Its id."""
        return os.getpid()

    def open(self, setting: Setting) -> None:
        """Have lanes, all of them free."""
        self.threads.settle(setting.lanes)
        measuring, threads = self.threads.measuring, self.threads.lanes(setting.lanes)
        self.lanes = [Lane(setting, measuring, thread) for thread in threads]

    def take(self, holder: int, setting: Sequence[ray.ObjectRef]) -> int | None:
        """The number of a lane that is free, or whose process has died, from now on that of the process `holder` on
        this machine; None where there is none. Who comes first has the lanes opened, with the setting."""
        with self.taking:
            if self.lanes is None:
                self.open(*ray.get(list(setting)))
            for number, lane in enumerate(self.lanes):
                if lane.holder is None or not lives(lane.holder):
                    lane.take(holder)
                    return number
        return None

    def do(self, number: int, name: str, *arguments: Any) -> Any:
        """As a lane does."""
        return self.lanes[number].do(name, arguments)

    def give_back(self, number: int) -> None:
        self.lanes[number].take(None)


def threads_that_train() -> None:
    """Prepare this process, which has not used a GPU yet, for lanes."""
    # By itself CUDA has 8 queues, and streams that share one wait for each other.
    os.environ.setdefault("CUDA_DEVICE_MAX_CONNECTIONS", "32")
    # So long a lane that computes in Python keeps another waiting that comes back from its GPU. By itself it is 5 ms,
    # in which a GPU takes several steps of a small network.
    sys.setswitchinterval(SWITCH_S)


def _prepare(cores: int, device: str, priority: int = 0) -> None:
    """Let this thread compute with so many cores, and what it launches be done beside what others do."""
    torch.set_num_threads(cores)
    if device == "cuda":
        own_stream(priority)


def own_stream(priority: int = 0) -> None:
    """Let this thread have a CUDA stream that is not the default one: that which it has, or a new one. torch has 32 of
    each priority, and gives them out in turns."""
    if torch.cuda.current_stream() == torch.cuda.default_stream():
        torch.cuda.set_stream(torch.cuda.Stream(priority=priority))


def emptied() -> None:
    """Give back what trainings that are over have had of the GPU's memory."""
    gc.collect()  # what has failed is in circles
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def _gpu_is_lost() -> bool:
    if not torch.cuda.is_initialized():
        return False
    try:
        torch.cuda.current_stream().synchronize()
    except RuntimeError:
        return True
    return False


def lives(process: int) -> bool:
    """Whether there is a process of this id on this machine."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def light(answer: Any) -> Any:
    """A dataclass as nothing but its attributes: who reads it need not import its class, and torch with it."""
    return SimpleNamespace(**vars(answer)) if is_dataclass(answer) else answer
