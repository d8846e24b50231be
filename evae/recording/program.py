"""How a step is run: as it comes, or recorded in a CUDA graph the second time and replayed from then on."""

from __future__ import annotations

import gc
import os
import threading
from contextlib import contextmanager, nullcontext
from typing import Any, Protocol, TypeVar
from weakref import WeakSet

from evae.lazy import TYPE_CHECKING, torch

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from evae.ranks import Ranks

Done = TypeVar("Done")
CAPTURED, AS_IT_COMES = "captured", "as it comes"
SWITCH = "EVAE_GRAPHS"
"""Where it is 0 in a process's environment, all is run as it comes there: for who suspects what is captured."""
_ONE_AT_A_TIME = threading.Lock()
"""A process can have one capture under way (PyTorch's notes on CUDA graphs), however many threads it trains in."""


class Recorder(Protocol):
    """Records what a call does on the device, without doing it."""

    def record(self, step: Callable[[], Done]) -> tuple[Callable[[], None], Done]:
        """What does it again, each time it is called, and what the call returned. Raises RuntimeError where that cannot
        be recorded; nothing on the device has moved then, as after a recording that succeeds."""

    def own_stream(self) -> AbstractContextManager[None]:
        """A context in which all of a training's work is done."""


class CudaGraphs:
    """Records on a CUDA stream of its owner's, in one pool of memory; the `generators` are those that its steps draw
    from. Other threads of the process may train meanwhile, each with a current stream of its own.

    What was recorded on one stream is given back all at once. PyTorch may take with one graph the memory that cuBLAS
    works in on that stream, for others too (https://github.com/pytorch/pytorch/issues/193402)."""

    def __init__(self, device: torch.device, generators: Sequence[torch.Generator], priority: int = 0):
        """The stream has that `priority`: who records with another one meanwhile, in the same thread, has another."""
        self.device, self.generators = device, generators
        # torch has 32 streams of each priority, and gives them out in turns: who took a new one for each training would
        # sooner or later have one that another thread works on, and record that thread's work in the place of doing it.
        current = torch.cuda.current_stream(device)
        own = current != torch.cuda.default_stream(device) and current.priority == priority
        self.stream = current if own else torch.cuda.Stream(device, priority)
        # Graphs that are replayed one after the other, and pass nothing on but by tensors from outside of it, share a
        # pool, which is there as long as one of them is.
        self.graphs: WeakSet[torch.cuda.CUDAGraph] = WeakSet()

    def record(self, step: Callable[[], Done]) -> tuple[Callable[[], None], Done]:
        graph, before = torch.cuda.CUDAGraph(), [generator.clone_state() for generator in self.generators]
        for generator in self.generators:
            graph.register_generator_state(generator)
        pool = next((known.pool() for known in self.graphs), None)
        how = {"stream": self.stream, "capture_error_mode": "thread_local"}
        try:
            with _ONE_AT_A_TIME, _uncollected(), torch.cuda.graph(graph, pool, **how):
                done = step()
        except BaseException:
            # They would wait for the end of a recording that has failed.
            for generator, state in zip(self.generators, before, strict=True):
                generator.graphsafe_set_state(state)
            raise
        self.graphs.add(graph)
        return graph.replay, done

    @contextmanager
    def own_stream(self) -> Iterator[None]:
        outer = torch.cuda.current_stream(self.device)
        if outer == self.stream:
            yield
            return
        self.stream.wait_stream(outer)
        try:
            with torch.cuda.stream(self.stream):
                yield
        finally:
            outer.wait_stream(self.stream)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Python collects nothing meanwhile: it might be a graph, and to give one back while another is recorded spoils
    that. One thread at a time."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


class Program:
    """Runs steps. Those of a kind do the same on the same tensors, and whatever differs between them is read from the
    device: the first of a kind is run as it comes, which also warms up what it calls; the second is recorded, and it
    and all others are replayed. Where recording fails, steps go on as they come.

    Several `ranks` run the same kinds in the same order, with sums over all of them in each step. As a step that is
    recorded waits for nobody, those that could and those that could not tell each other afterwards: where one could
    not, none replays.

    Without a recorder all steps are run as they come. `stepped` says how, and why, for the trial's row.
    """

    def __init__(self, recorder: Recorder | None, why_not: str | None = None, ranks: Ranks | None = None):
        self.recorder, self.why_not, self.ranks = recorder, why_not, ranks
        self.kinds: dict[Hashable, tuple[Callable[[], None], Any] | None] = {}

    @property
    def records(self) -> bool:
        return self.recorder is not None and self.why_not is None

    @property
    def stepped(self) -> str:
        if self.records:
            return CAPTURED
        return AS_IT_COMES if self.why_not is None else f"{AS_IT_COMES}: {self.why_not}"

    def own_stream(self) -> AbstractContextManager[None]:
        """A context for all of a training's work on the device."""
        return nullcontext() if self.recorder is None else self.recorder.own_stream()

    def run(self, kind: Hashable, step: Callable[[], Done]) -> Done:
        """What the step returns; of one that is replayed, what it returned when it was recorded."""
        if not self.records:
            return step()
        if kind not in self.kinds:
            self.kinds[kind] = None
            return step()
        if self.kinds[kind] is None:
            failed = self._record(kind, step)
            failed = failed if self.ranks is None else self.ranks.first(failed)
            if failed is not None:
                self.kinds.clear()
                self.why_not = f"it cannot be captured ({failed})"
                return step()
        replay, done = self.kinds[kind]
        replay()
        return done

    def _record(self, kind: Hashable, step: Callable[[], Any]) -> str | None:
        """Why that failed, if it did."""
        try:
            self.kinds[kind] = self.recorder.record(step)
        except RuntimeError as error:
            said = str(error) or type(error).__name__
            return f"{said.splitlines()[0]:.200}"
        return None


def recorder(device: torch.device, generators: Sequence[torch.Generator], priority: int = 0) -> Recorder | None:
    """What records steps on the device, if anything can."""
    return CudaGraphs(device, generators, priority) if device.type == "cuda" else None


def switched_off() -> bool:
    """Whether nothing shall be recorded in this process."""
    return os.environ.get(SWITCH) == "0"


def replayable(part: Any) -> bool:
    """Whether what a family or a function does is done on the device alone, and can be replayed there: as far as is
    known, for those of plug-ins where they say so (`replayable = True`)."""
    return getattr(part, "replayable", part.__module__.startswith("evae."))
