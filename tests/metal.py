"""A stand-in for Apple's Metal, where torch has no float64: tensors that refuse it until they leave for the CPU."""

from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves


class Metal(Tensor):
    """A tensor that is treated as if it were on such a device, and what is made of it too."""

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = super().__torch_function__(function, types, args, kwargs or {})
        if function is Tensor.cpu or (function is Tensor.to and "cpu" in args):
            return result.as_subclass(Tensor)
        for value in tree_leaves(result):
            if isinstance(value, Metal) and value.dtype == torch.float64:
                raise TypeError("Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support it.")
        return result


def on_metal(value: Tensor) -> Tensor:
    return value.as_subclass(Metal)
