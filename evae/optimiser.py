"""Adam of torch, without torch's compiler."""

import inspect
from collections.abc import Iterable

import torch


class Adam(torch.optim.Adam):
    """Steps for all parameters at once. Of the same state as torch's own, and the same numbers to the last bit.

    torch hides an optimiser's methods from its compiler; to do so the first call imports it, 1.7 s of a core in every
    process that trains. Nothing is compiled here, so they are called as they were written.
    """

    def __init__(self, parameters: Iterable[torch.nn.Parameter], learning_rate: float, beta1: float) -> None:
        super().__init__(parameters, lr=learning_rate, betas=(beta1, 0.999), fused=True)

    step = torch.no_grad()(inspect.unwrap(torch.optim.Adam.step))
    zero_grad = inspect.unwrap(torch.optim.Adam.zero_grad)
    state_dict = inspect.unwrap(torch.optim.Adam.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.Adam.load_state_dict)
    add_param_group = inspect.unwrap(torch.optim.Adam.add_param_group)
