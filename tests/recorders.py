"""Stand-ins for what records on CUDA, for tests on a CPU."""

from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class Again:
    """Takes the first step of a kind that it was given for all others of the kind, and counts what it took."""

    def __init__(self) -> None:
        self.recorded = self.replayed = 0

    def own_stream(self) -> Any:
        return nullcontext()

    def record(self, step: Callable[[], Any]) -> tuple[Callable[[], None], Any]:
        self.recorded += 1
        done, waiting = step(), [True]

        def replay() -> None:
            self.replayed += 1
            if waiting:  # it has been taken by being recorded
                waiting.pop()
            else:
                step()

        return replay, done


class Refusing(Again):
    """Can record nothing."""

    def record(self, step: Callable[[], Any]) -> tuple[Callable[[], None], Any]:
        raise RuntimeError("operation not permitted when stream is capturing\nand more")


class OnDevice(TorchDispatchMode):
    """Fails where a number is read back from the device, or one is sent to it."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        assert name not in ("_local_scalar_dense", "nonzero", "masked_select", "lift_fresh", "equal"), name
        if name == "index":
            assert all(each is None or each.dtype == torch.int64 for each in args[1])
        return func(*args, **(kwargs or {}))


class Operations(TorchDispatchMode):
    """Counts what a device is asked to do, by name: neither views nor memory that nobody has written to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: Counter[str] = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        if not func.is_view and "empty" not in name and not name.startswith("_record_function"):
            self.asked[name] += 1
        return func(*args, **(kwargs or {}))


class Graph(Again):
    """Does nothing while it records; then it writes what a function gives of its inputs, as they are by then, always in
    the same place."""

    def record(self, step: Callable[[], Any]) -> tuple[Callable[[], None], Any]:
        self.recorded += 1
        done = step()
        for place in _tensors(done):
            place.fill_(torch.nan)

        def replay() -> None:
            self.replayed += 1
            for place, written in zip(_tensors(done), _tensors(step()), strict=True):
                place.copy_(written)

        return replay, done


def _tensors(done: Any) -> list[torch.Tensor]:
    return [done] if isinstance(done, torch.Tensor) else [place for part in done for place in _tensors(part)]
