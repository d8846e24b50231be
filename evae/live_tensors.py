"""How many bytes of tensors are alive at once, where no allocator keeps count: on a CPU."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter


class LiveTensors(TorchDispatchMode):
    """Inside, `peak` is the most bytes that tensors made inside have held at once, those kept for gradients and the
    gradients themselves included. What a kernel takes for itself and gives back is not seen.

    A storage counts once, with all its views, until the last reference is gone.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        self._note((args, kwargs), made=False)
        found = func(*args, **(kwargs or {}))
        self._note(found, made=True)
        return found

    def _note(self, tree: Any, made: bool) -> None:
        for tensor in tree_iter(tree):
            if isinstance(tensor, torch.Tensor) and tensor.layout == torch.strided:
                storage = tensor.untyped_storage()
                if (key := storage._cdata) not in self._known:
                    size = storage.nbytes() if made else 0
                    self._known.add(key)
                    self.now += size
                    self.peak = max(self.peak, self.now)
                    weakref.finalize(storage, self._gone, key, size).atexit = False

    def _gone(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size
