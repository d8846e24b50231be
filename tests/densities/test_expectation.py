"""Expectation maximisation, against scikit-learn's."""

import warnings

import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from evae.densities import MixtureDensity, expectation
from evae.densities.components import Components
from evae.densities.expectation import maximised
from evae.errors import NotFitted
from evae.testing.densities import generator

SEED = 3


def codes(n: int, latents: int) -> torch.Tensor:
    """(n, latents) of four clusters that overlap, each with a covariance of its own."""
    drawn = generator(latents)
    means, mixing = torch.randn(4, 1, latents, generator=drawn), torch.randn(4, latents, latents, generator=drawn)
    found = 1.5 * means + torch.randn(4, n // 4, latents, generator=drawn) @ mixing / latents**0.5
    found = found.flatten(0, 1).double()
    return (found - found.mean(0)) / found.std(0, correction=0)


def fitted(given: torch.Tensor, components: int, tolerance: float = 1e-3) -> tuple[Components, int]:
    clusters = KMeans(components, n_init=1, random_state=SEED).fit(given.numpy())
    return maximised(given, torch.from_numpy(clusters.labels_).long(), components, tolerance, 500)


def assert_is_scikit_learns(given: torch.Tensor, components: int, tolerance: float = 1e-3) -> None:
    found, iterations = fitted(given, components, tolerance)
    oracle = GaussianMixture(components, tol=tolerance, max_iter=500, random_state=SEED).fit(given.numpy())
    assert iterations == oracle.n_iter_
    of_found = found.weights, found.means, found.factors @ found.factors.mT
    for ours, theirs in zip(of_found, (oracle.weights_, oracle.means_, oracle.covariances_), strict=True):
        torch.testing.assert_close(ours, torch.from_numpy(theirs), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(("latents", "components"), [(1, 3), (2, 4), (2, 25), (16, 2), (16, 9), (40, 4)])
def test_it_is_scikit_learns(latents, components):
    assert_is_scikit_learns(codes(600, latents), components)


def test_it_is_the_same_in_parts(monkeypatch):
    monkeypatch.setattr(expectation, "ROOM", {"cpu": 1})
    assert_is_scikit_learns(codes(600, 8), 5)


def test_a_narrow_component_far_out_loses_nothing_to_rounding():
    given = codes(600, 4)
    given[:150] = 60 + 1e-2 * given[:150]
    assert_is_scikit_learns(given, 3)


def test_components_without_a_code_are_scikit_learns():
    """Of codes that repeat there are fewer clusters."""
    given = codes(4, 2).repeat(40, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        assert_is_scikit_learns(given, 6)


def test_a_covariance_that_is_not_positive_definite_is_said(monkeypatch):
    given = codes(200, 3)
    given[:, 1] = 0
    assert fitted(given, 2)[0].factors[:, 1, 1].tolist() == pytest.approx([1e-3, 1e-3])
    monkeypatch.setattr(expectation, "RIDGE", 0.0)
    with pytest.raises(NotFitted, match="give fewer components: a covariance is not positive definite"):
        fitted(given, 2)


@pytest.mark.gpu
@pytest.mark.parametrize("shape", [None, (4, 4, 4)], ids=["vectors", "maps"])
def test_a_fit_on_a_gpu_is_the_cpus_and_the_same_each_time(shape):
    density, given = MixtureDensity(components=5, directions=24), codes(2000, 64)
    here, *there = (density.fit(given, generator(), shape, device) for device in ("cpu", "cuda", "cuda"))
    for name, value in there[0].state().items():
        assert value.device.type == "cpu" and torch.equal(value, there[1].state()[name])
        if shape is None:
            torch.testing.assert_close(value, here.state()[name], rtol=1e-8, atol=1e-8)
    # Of maps, directions may have the other sign.
    torch.testing.assert_close(there[0].log_density(given), here.log_density(given), rtol=1e-8, atol=1e-8)
