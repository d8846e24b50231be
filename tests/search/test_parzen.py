"""The density in pieces is Optuna's to the bit."""

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import TPESampler
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator

from evae.search.parzen import Parzen

KINDS = {
    "method": CategoricalDistribution(["evae", "kernel", "gaussian"]),
    "kernel": CategoricalDistribution(list("abcdefghi")),
    "beta": FloatDistribution(1e-2, 1e1, log=True),
    "shift": FloatDistribution(-2, 2),
    "width": FloatDistribution(0.5, 0.75),
    "latent": IntDistribution(2, 64, log=True),
    "layers": IntDistribution(1, 9, step=2),
    "rate": FloatDistribution(0, 1, step=0.25),
}
SPACES = {"one choice": ["method"], "choices": ["method", "kernel"], "real": ["beta", "shift", "width"],
          "whole": ["latent", "layers"], "all": list(KINDS)}  # fmt: skip


def drawn(space: dict, n: int, seed: int) -> dict[str, np.ndarray]:
    """Points of a space, some of them alike."""
    draw = np.random.default_rng(seed)
    found = {}
    for name, kind in space.items():
        if isinstance(kind, CategoricalDistribution):
            found[name] = draw.integers(len(kind.choices), size=n).astype(float)
        elif kind.log:
            found[name] = np.exp(draw.uniform(np.log(kind.low), np.log(kind.high), n))
        else:
            found[name] = draw.uniform(kind.low, kind.high, n)
        if getattr(kind, "step", None):
            found[name] = kind.low + np.round((found[name] - kind.low) / kind.step) * kind.step
        found[name][n // 2 :] = found[name][: n - n // 2]
    return found


@pytest.mark.parametrize("trials", [0, 1, 7, 150, 2500])
@pytest.mark.parametrize("names", SPACES.values(), ids=SPACES)
def test_it_is_optunas(names, trials):
    space = {name: KINDS[name] for name in names}
    given = drawn(space, trials, 0), space, TPESampler(multivariate=True)._parzen_estimator_parameters
    samples = drawn(space, 24, 1)
    if "shift" in samples:
        samples["shift"][3] = 2 + 1e-9  # beyond its end, as rounding may make it: no kernel reaches there
    with np.errstate(divide="ignore"):
        theirs = _ParzenEstimator(*given).log_pdf(samples)
    ours = Parzen(*given).log_pdf(samples)
    assert np.isfinite(theirs).sum() == 24 - ("shift" in samples)
    assert np.array_equal(ours, theirs)
