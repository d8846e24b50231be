"""The optimiser is torch's own, reached by another way."""

import pytest
import torch
from torch import nn

from evae.optimisation import OPTIMISERS
from evae.optimiser import MOMENTS, optimiser


def trained(optimiser_of, state=None):
    """Weights and moments after five steps, from an earlier state if there is one."""
    torch.manual_seed(0)
    model = nn.Linear(7, 3)
    optimiser = optimiser_of(model.parameters())
    if state is not None:
        optimiser.load_state_dict(state)
    inputs = torch.randn(5, 4, 7)
    for x in inputs:
        optimiser.zero_grad()
        model(x).square().sum().backward()
        optimiser.step()
    return [*model.parameters()], optimiser.state_dict()


def ours(name):
    return lambda parameters: optimiser(name, parameters, 0.01, 0.5, weight_decay=0.3)


TORCHS = {
    "adam": lambda p: torch.optim.Adam(p, 0.01, (0.5, 0.999), weight_decay=0.3, fused=True),
    "adamw": lambda p: torch.optim.AdamW(p, 0.01, (0.5, 0.999), weight_decay=0.3, fused=True),
    "adamax": lambda p: torch.optim.Adamax(p, 0.01, (0.5, 0.999), weight_decay=0.3, foreach=True),
}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_its_numbers_and_its_state_are_those_of_torchs_own(name):
    (weights, state), (expected, expected_state) = trained(ours(name)), trained(TORCHS[name])
    assert {tuple(kept) for kept in state["state"].values()} == {MOMENTS[name]}
    assert all(map(torch.equal, weights, expected))
    assert state["param_groups"] == expected_state["param_groups"]
    for index, moments in state["state"].items():
        for moment, value in moments.items():
            assert torch.equal(value, expected_state["state"][index][moment])
    (again, _), (expected, _) = trained(ours(name), expected_state), trained(TORCHS[name], state)
    assert all(map(torch.equal, again, expected))


@pytest.mark.parametrize("name", OPTIMISERS)
def test_a_step_leaves_no_graph_behind(name):
    weights, _ = trained(ours(name))
    assert all(w.is_leaf and w.requires_grad for w in weights)


@pytest.mark.gpu
@pytest.mark.parametrize("name", OPTIMISERS)
def test_on_cuda_a_rate_that_is_a_number_is_the_one_that_lies_on_the_device(name):
    """So that a training without a schedule has the numbers of one whose schedule leaves the rate as it is."""
    number, there = (torch.nn.Linear(700, 30, device="cuda") for _ in range(2))
    there.load_state_dict(number.state_dict())
    for model in (number, there):
        moving = optimiser(name, model.parameters(), 3e-4, 0.9, weight_decay=0.01)
        for seed in range(5):
            if model is there:
                moving.param_groups[0]["lr"] = 3e-4 * torch.ones((), device="cuda")
            moving.zero_grad()
            x = torch.randn(40, 700, generator=torch.Generator().manual_seed(seed)).cuda()
            model(x).square().sum().backward()
            moving.step()
    assert all(map(torch.equal, number.parameters(), there.parameters()))
