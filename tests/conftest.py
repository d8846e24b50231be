"""Shapes and types written in the signatures of the mathematical modules are checked in every test."""

import optuna
import pytest
from jaxtyping import install_import_hook

from evae import lazy

CHECKED = ("evae.kernels", "evae.likelihoods", "evae.posteriors", "evae.networks", "evae.models")

# As everywhere in Python, an int will do where a float is due.
install_import_hook(list(CHECKED), "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")
# Before they are imported: a shape whose name is missing would not be checked.
lazy.TYPE_CHECKING = True


@pytest.fixture
def checked() -> tuple[str, ...]:
    """The packages and modules in which they are."""
    return CHECKED


@pytest.fixture(autouse=True)
def quiet():
    """As in a study; optuna has no other way to be silent about what it thinks of a sampler."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)
