import optuna
import pytest


@pytest.fixture(autouse=True)
def quiet():
    """As in a study; optuna has no other way to be silent about what it thinks of a sampler."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)
