"""Adam and its kin of torch, without torch's compiler."""

import inspect
from collections.abc import Iterable

import torch
from torch.optim import Optimizer

BETA2 = 0.999


def _written(kind: type[Optimizer]) -> type[Optimizer]:
    """A class of torch's with its methods as they were written.

    torch hides an optimiser's methods from its compiler; to do so the first call imports it, 1.7 s of a core in every
    process that trains. Nothing is compiled here. State and numbers are torch's own to the last bit.
    """
    names = ("zero_grad", "state_dict", "load_state_dict", "add_param_group")
    methods = {name: inspect.unwrap(getattr(kind, name)) for name in names}
    return type(kind.__name__, (kind,), methods | {"step": torch.no_grad()(inspect.unwrap(kind.step))})


Adam = _written(torch.optim.Adam)
Adamax = _written(torch.optim.Adamax)
LBFGS = _written(torch.optim.LBFGS)
MOMENTS = {
    "adam": ("step", "exp_avg", "exp_avg_sq"),
    "adamw": ("step", "exp_avg", "exp_avg_sq"),
    "adamax": ("step", "exp_avg", "exp_inf"),
}
"""What each keeps of a parameter."""


def optimiser(
    name: str, parameters: Iterable[torch.nn.Parameter], learning_rate: float, beta1: float, weight_decay: float = 0.0
) -> Optimizer:
    """The optimiser of that name ("adam", "adamw", "adamax"), which steps for all parameters at once."""
    given = {"lr": learning_rate, "betas": (beta1, BETA2), "weight_decay": weight_decay}
    if name == "adamax":
        return Adamax(parameters, foreach=True, **given)
    return Adam(parameters, fused=True, decoupled_weight_decay=name == "adamw", **given)
