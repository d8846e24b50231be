"""The shapes and types in signatures of the mathematical modules are checked for as long as the tests run."""

import importlib
import inspect
import pkgutil
import typing

import pytest
import torch
from jaxtyping import TypeCheckError

from evae.kernels import KERNELS
from evae.likelihoods import Bernoulli
from evae.models import build_model
from evae.networks import Conv
from evae.networks.layers import Affine
from evae.posteriors import Gaussian, posterior


def functions(module):
    """All functions and methods that the module defines, as they were written."""
    for holder in [module, *(cls for cls in vars(module).values() if inspect.isclass(cls))]:
        for member in vars(holder).values():
            member = member.fget if isinstance(member, property) else member
            if inspect.isfunction(function := inspect.unwrap(member)) and function.__module__ == module.__name__:
                yield function


def test_every_annotation_names_something(checked):
    """What an annotation names and a module does not import, the checks would pass over in silence."""
    modules = [importlib.import_module(name) for name in checked]
    for package in [module for module in modules if hasattr(module, "__path__")]:
        modules += [
            importlib.import_module(m.name) for m in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
        ]
    for module in modules:
        for function in functions(module):
            typing.get_type_hints(function, include_extras=True)


@pytest.mark.parametrize("family", posterior.values(), ids=list(posterior))
def test_a_posterior_refuses_heads_of_another_shape(family):
    with pytest.raises(TypeCheckError, match="heads"):
        family().sample(torch.zeros(2, 3, 8), torch.Generator())


def test_so_do_kernels_likelihoods_layers_and_models():
    with pytest.raises(TypeCheckError):
        KERNELS["gaussian"].density(torch.zeros(3, dtype=torch.int64))
    with pytest.raises(TypeCheckError):
        Bernoulli().distortion(torch.zeros(2, 1, 32, 32), torch.zeros(2, 3, 32, 32))
    with pytest.raises(TypeCheckError):
        Affine(3)(torch.zeros(3, 8, 8))
    with pytest.raises(TypeCheckError):
        build_model(Gaussian(), Conv(width=0.1), 32, 1, 3, seed=0).decode(torch.zeros(2, 3, 1))


def test_so_does_a_recipe_of_another_type():
    with pytest.raises(TypeCheckError):
        Gaussian(beta="much")
