"""Functions of tensors that are called again and again with others of the same shapes, as an evaluation does for every
trial: replayed on CUDA.

Each operation that Python launches takes the interpreter's lock from the threads that train beside it, in the same
process; what is replayed takes it once. Evaluations of several trials are not put into one batch instead: trials end at
different times, so that one would wait for another, and sums would come in another order, so that no trial's numbers
would be those that it has alone.
"""

from __future__ import annotations

import threading
from collections import Counter
from functools import partial
from typing import Any, TypeVar
from weakref import ref

from evae.lazy import TYPE_CHECKING, torch
from evae.recording.program import Program, recorder, switched_off

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from torch import Tensor

    from evae.recording.program import Recorder

Done = TypeVar("Done")
LARGEST = 1 << 21
"""Of more numbers at once a function is run as it comes: a device is then busy for longer than it takes to launch that,
and what is recorded keeps its memory. Not measured."""
MOST = 16
"""So many recordings a thread keeps."""
PROVED = 2
"""So many replays are held against the function as it comes: the first has the inputs with which it was recorded."""
PRIORITY = -1
"""Of the streams on which is measured: they are none of those on which is trained, in this thread or others."""


def replayed(owner: Any, function: Callable[..., Done], *inputs: Tensor, **fixed: Hashable) -> Done:
    """`function(*inputs, **fixed)`, a tensor or tuples of such, which the caller may keep.

    On CUDA each thread records what the function does the second time that it is called for this owner with the same
    `fixed` and with inputs of the same shapes, types and strides, and replays it from then on: the same kernels on the
    same shapes, so the numbers are those that it has as it comes, to the last bit. The first two replays are held
    against that; what comes out otherwise, or cannot be recorded, is run as it comes. The function is pure, needs no
    gradients, and does all that it does on the device, from its inputs and from tensors that stay where they are as
    long as the `owner` lives.

    Elsewhere it is called as it is.
    """
    return _HERE.run(owner, function, inputs, fixed)


class _Recordings(threading.local):
    """What a thread has recorded, with the inputs that are read when it is replayed; all that it has on one device is
    on one stream, and shares a pool of memory. It is given back as a whole (see `CudaGraphs`): before there would be
    more than `MOST`, when an owner is found to be gone or something cannot be recorded, and with the thread."""

    def __init__(self) -> None:
        self.recorders: dict[torch.device, Recorder | None] = {}
        self.programs: dict[tuple[ref, torch.device], Program] = {}
        self.inputs: dict[Hashable, tuple[Tensor, ...]] = {}
        self.proved: Counter[Hashable] = Counter()

    def run(
        self, owner: Any, function: Callable[..., Done], inputs: tuple[Tensor, ...], fixed: dict[str, Hashable]
    ) -> Done:
        device = inputs[0].device
        if device not in self.recorders:
            self.recorders[device] = None if switched_off() else recorder(device, (), PRIORITY)
        large = sum(given.numel() for given in inputs) > LARGEST
        if self.recorders[device] is None or large or any(map(_is_expanded, inputs)):
            return function(*inputs, **fixed)
        if any(known() is None for known, _ in self.programs):
            self.give_back()
        whose = ref(owner), device
        program = self.programs.setdefault(whose, Program(self.recorders[device]))
        kind = tuple((given.shape, given.stride(), given.dtype) for given in inputs), tuple(fixed.items())
        if not program.records:
            return function(*inputs, **fixed)
        with program.own_stream():
            if kind not in program.kinds:
                if sum(len(each.kinds) for each in self.programs.values()) >= MOST:
                    self.give_back()
                return program.run(kind, partial(function, *inputs, **fixed))
            if (whose, kind) not in self.inputs:
                self.inputs[whose, kind] = tuple(map(_place, inputs))
            places = self.inputs[whose, kind]
            for place, given in zip(places, inputs, strict=True):
                place.copy_(given)
            done = program.run(kind, partial(function, *places, **fixed))
            if program.records:
                done = _kept(done)
                if self.proved[whose, kind] == PROVED:
                    return done
                replay, done = done, function(*inputs, **fixed)
                if _is_same(replay, done):
                    self.proved[whose, kind] += 1
                    return done
                program.why_not = "what is replayed differs"
            self.give_back()
            return done

    def give_back(self) -> None:
        """What could not be recorded, or came out otherwise, is not tried again."""
        for program in self.programs.values():
            program.kinds.clear()
        self.programs = {whose: program for whose, program in self.programs.items() if whose[0]() is not None}
        self.inputs.clear()
        self.proved.clear()


_HERE = _Recordings()


def _is_expanded(given: Tensor) -> bool:
    """Whether several of its numbers are one in memory: no place of such strides can be written to."""
    return any(not stride and side > 1 for side, stride in zip(given.shape, given.stride(), strict=True))


def _place(given: Tensor) -> Tensor:
    return torch.empty_strided(given.shape, given.stride(), dtype=given.dtype, device=given.device)


def _kept(done: Any) -> Any:
    """The same, where no replay writes."""
    return tuple(map(_kept, done)) if isinstance(done, tuple) else done.clone()


def _is_same(one: Any, other: Any) -> bool:
    """To the last bit; what is not a number is so in both."""
    if isinstance(one, tuple):
        return all(map(_is_same, one, other))
    return bool(torch.isclose(one, other, rtol=0.0, atol=0.0, equal_nan=True).all())
