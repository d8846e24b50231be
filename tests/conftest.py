"""Shapes and types written in the signatures of the mathematical modules are checked in every test."""

import faulthandler
import os
import sys

import hypothesis
import optuna
import pytest
from jaxtyping import install_import_hook

from evae import lazy

# Ray starts its workers at the lowest priority but four: beside other programs that take all cores they would get a
# twentieth of one, and tests of worker groups take a quarter of an hour.
os.environ.setdefault("RAY_worker_niceness", "0")

CHECKED = (
    *("evae.kernels", "evae.wavelets", "evae.likelihoods", "evae.posteriors", "evae.networks", "evae.densities"),
    "evae.models",
)

# As everywhere in Python, an int will do where a float is due.
install_import_hook(list(CHECKED), "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")
# Before they are imported: a shape whose name is missing would not be checked.
lazy.TYPE_CHECKING = True

# The same examples everywhere, and none too slow for a machine that has other work too.
hypothesis.settings.register_profile(
    "evae", derandomize=True, deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("evae")


CONSOLE = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    """What is printed here is seen also while a test's own output is kept."""
    config.stash[CONSOLE] = os.dup(sys.__stderr__.fileno())
    # Of several processes that run tests at once, each tells what it has started from what another has.
    if hasattr(config, "workerinput"):
        os.setsid()


@pytest.fixture(autouse=True)
def crashes(pytestconfig: pytest.Config):
    """A process that crashes says where. Ray takes crashes over when it starts, and says it where nobody sees it."""
    faulthandler.disable()
    faulthandler.enable(pytestconfig.stash[CONSOLE])


@pytest.fixture(autouse=True, scope="session")
def threads():
    """One, unless told otherwise: small tensors on more threads than idle cores take many times as long."""
    import torch  # not before it is needed: pytest's controlling process tests nothing

    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def device(request: pytest.FixtureRequest):
    """Tests that need a GPU say so where there is none."""
    if request.node.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a CUDA device, and torch finds none here")


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
