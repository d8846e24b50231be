"""How many numbers a network holds."""

from torch import nn


def parameters(*modules: nn.Module) -> int:
    """The trained ones."""
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def statistics(*modules: nn.Module) -> int:
    """The running means and variances, which Keras counts among a model's parameters."""
    found = (buffer for module in modules for buffer in module.buffers())
    return sum(buffer.numel() for buffer in found if buffer.is_floating_point())
