"""What is imported before something is computed: nothing that takes seconds."""

import json
import subprocess
import sys

import pytest

HEAVY = {"torch", "torchvision", "ray", "optuna", "pandas", "sklearn", "scipy", "pyarrow", "plotly"}


def imported(code: str) -> set[str]:
    """The packages that a fresh interpreter has imported after running the code."""
    code += "\nimport json, sys; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(run.stdout.splitlines()[-1]))


def test_a_recipe_of_every_family_is_made_without_torch():
    code = """
from evae import likelihoods, networks, posteriors
from evae.adversarial import Adversarial
from evae.recipe import Recipe

for posterior in posteriors.posterior.values():
    for likelihood in likelihoods.likelihood.values():
        for network in networks.network.values():
            recipe = Recipe(
                posterior=posterior(), likelihood=likelihood(), network=network(), adversarial=Adversarial()
            )
            assert Recipe.from_dict(recipe.to_dict()) == recipe
            assert recipe.configuration()
"""
    assert not imported(code) & HEAVY


def test_what_is_first_used_is_then_imported():
    assert "torch" in imported("from evae.lazy import F; assert F.relu")
    assert not imported("from evae.lazy import F, nn, optuna, torch") & HEAVY


def test_a_name_that_is_not_there_is_said_as_by_the_module_itself():
    from evae.lazy import torch

    with pytest.raises(AttributeError, match="module 'torch' has no attribute 'tensors'"):
        torch.tensors  # noqa: B018
