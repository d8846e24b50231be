"""Adam and its kin of torch, without torch's compiler."""

import inspect
from collections.abc import Iterable

import torch
from torch import Tensor
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
    """The optimiser of that name ("adam", "adamw", "adamax"), which steps for all parameters at once. On CUDA its steps
    can be captured in a graph: all that they change is on the device."""
    parameters = list(parameters)
    if parameters[0].is_cuda:
        # What a schedule makes of it lies there in float32; without one it is that number, and no more exact one.
        learning_rate = float(torch.tensor(learning_rate, dtype=torch.float32))
    given = {"lr": learning_rate, "betas": (beta1, BETA2), "weight_decay": weight_decay}
    given["capturable"] = parameters[0].is_cuda
    if name == "adamax":
        made = Adamax(parameters, foreach=True, **given)
    else:
        made = Adam(parameters, fused=True, decoupled_weight_decay=name == "adamw", **given)
    # Not a mistake that torch need warn of: steps are run as they come until one is captured.
    made._warned_capturable_if_run_uncaptured = True
    return made


def move(optimiser: Optimizer, stopped: Tensor | None = None) -> None:
    """A step; none where `stopped` (), on the parameters' device, is 1, which nobody needs to read for that."""
    if stopped is None:
        optimiser.step()
    elif isinstance(optimiser, Adam):
        # As a gradient scaler says it to a fused optimiser.
        optimiser.found_inf = stopped
        optimiser.step()
    else:
        before = {id(moved): moved.detach().clone() for moved in _moved(optimiser)}
        optimiser.step()
        with torch.no_grad():
            for moved in _moved(optimiser):
                # What an optimiser keeps begins with zeros.
                kept = before[id(moved)] if id(moved) in before else torch.zeros_like(moved)
                moved.copy_(torch.where(stopped > 0, kept, moved))


def _moved(optimiser: Optimizer) -> list[Tensor]:
    """The tensors that its steps change."""
    (group,) = optimiser.param_groups
    kept = [value for parameter in group["params"] for value in optimiser.state.get(parameter, {}).values()]
    return [*group["params"], *kept]
