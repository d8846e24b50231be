"""Fréchet and kernel distances beside other implementations, which are imported where they are asked: both processes of
the whole suite read this file, one tests by it, and these packages take seconds to import."""

import numpy as np
import pytest
import scipy.linalg
import torch

from evae.metrics import frechet
from evae.metrics.frechet import Moments, frechet_distance, kernel_distance, kernel_distance_sd


def rows(n: int, dim: int, seed: int, shift: float = 0.0) -> torch.Tensor:
    """Correlated features, scaled from 1 to 1e-3 as those of networks are, far from zero."""
    draw = torch.Generator().manual_seed(seed)
    mixing = torch.randn(dim, dim, generator=torch.Generator().manual_seed(99)) * torch.logspace(0, -3, dim)
    return torch.randn(n, dim, generator=draw) @ mixing.T + 3 + shift


def moments(features: torch.Tensor) -> Moments:
    found = Moments()
    found.update(features)
    return found


def pytorch_fid(x: np.ndarray, y: np.ndarray) -> float:
    """pytorch-fid's formula; its own call of sqrtm uses an argument that scipy has removed."""
    s, t = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    difference = x.mean(0) - y.mean(0)
    return difference @ difference + np.trace(s) + np.trace(t) - 2 * np.trace(scipy.linalg.sqrtm(s @ t)).real


def test_moments_are_numpys():
    x = rows(300, 7, 0)
    found = moments(x)
    np.testing.assert_allclose(found.mean, x.double().numpy().mean(0), rtol=1e-12)
    np.testing.assert_allclose(found.covariance, np.cov(x.double().numpy(), rowvar=False), rtol=1e-9, atol=1e-12)


def test_moments_of_parts_are_those_of_the_whole():
    x = rows(301, 7, 0)
    parts = Moments()
    for part in x.split(100):
        parts.merge(Moments.from_dict(moments(part).to_dict()))
    parts.merge(Moments())
    assert parts.count == 301
    torch.testing.assert_close(parts.covariance, moments(x).covariance, rtol=1e-12, atol=1e-12)


def test_the_kept_factor_follows_new_rows():
    x, y = rows(200, 5, 0), rows(200, 5, 1)
    real = moments(x)
    frechet_distance(moments(y), real)
    real.update(y)
    expected = frechet_distance(moments(y), moments(torch.cat([x, y])))
    assert frechet_distance(moments(y), real) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("n", "dim"), [(500, 40), (2000, 112), (100, 64)])
def test_frechet_agrees_with_three_references(n: int, dim: int):
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
    from torchmetrics.image.fid import _compute_fid

    x, y = rows(n, dim, 1), rows(n, dim, 2, shift=0.1)
    ours = frechet_distance(moments(x), moments(y))
    a, b = x.double(), y.double()
    statistics = [fid_features_to_statistics(s) for s in (a, b)]
    fidelity = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert ours == pytest.approx(pytorch_fid(a.numpy(), b.numpy()), rel=1e-6)
    assert ours == pytest.approx(fidelity, rel=1e-6)
    assert ours == pytest.approx(float(_compute_fid(a.mean(0), a.T.cov(), b.mean(0), b.T.cov())), rel=1e-6)


def test_frechet_where_the_covariances_commute_is_the_closed_form():
    """Diagonal covariances: squared differences of means and of standard deviations, summed over axes."""
    z = torch.tensor([[1.0, 1], [1, -1], [-1, 1], [-1, -1]], dtype=torch.float64)
    scale, shift = torch.tensor([2.0, 0.5], dtype=torch.float64), torch.tensor([1.0, -2], dtype=torch.float64)
    std = z.std(0)
    expected = float(((scale * std - std) ** 2 + shift**2).sum())
    assert frechet_distance(moments(z * scale + shift), moments(z)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("n", "dim"), [(500, 40), (50, 200)])
def test_frechet_of_a_set_from_itself_is_zero(n: int, dim: int):
    """Also where there are fewer images than features and the covariance is singular."""
    x = rows(n, dim, 3) * 10
    assert abs(frechet_distance(moments(x), moments(x))) < 1e-3


def test_frechet_of_ill_conditioned_sets_agrees_with_singular_values():
    """tr (S T)^(1/2) is the sum of singular values of X Y^T over the count: no roots of small numbers.

    Eigenvalues fall by twelve orders of magnitude, more rows than features and fewer.
    """
    for n in (400, 60):
        x, y = (rows(n, 100, seed) * torch.logspace(0, -3, 100) for seed in (10, 11))
        a, b = ((s - s.mean(0)) / np.sqrt(n - 1) for s in (x.double(), y.double()))
        difference = x.double().mean(0) - y.double().mean(0)
        traces = (a * a).sum() + (b * b).sum()
        expected = difference @ difference + traces - 2 * torch.linalg.svdvals(a @ b.T).sum()
        assert frechet_distance(moments(x), moments(y)) == pytest.approx(float(expected), rel=1e-6)


def test_frechet_is_symmetric():
    x, y = moments(rows(50, 200, 4)), moments(rows(60, 200, 5))
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(y, x), rel=1e-6)


def test_kernel_distance_agrees_with_torch_fidelity():
    from torch_fidelity.metric_kid import mmd2

    x, y = rows(120, 9, 6).double(), rows(120, 9, 7, shift=0.2).double()
    a, b, c = (((s @ t.T) / 9 + 1) ** 3 for s, t in ((x, x), (x, y), (y, y)))
    ours = kernel_distance(x, y, torch.Generator())
    assert ours == pytest.approx(mmd2(a.numpy(), b.numpy(), c.numpy()), rel=1e-6)


def test_kernel_distance_of_subsets_estimates_the_whole():
    x, y = rows(600, 4, 8), rows(600, 4, 9, shift=0.3)
    whole = kernel_distance(x, y, torch.Generator())
    drawn = [
        kernel_distance(x, y, torch.Generator().manual_seed(seed), subsets=10, subset_size=100) for seed in range(40)
    ]
    error = np.std(drawn, ddof=1) / np.sqrt(40)
    assert abs(np.mean(drawn) - whole) < 6 * error < 0.2 * whole


@pytest.mark.parametrize("paired", [False, True])
def test_subsets_have_the_distances_of_parts_of_one_kernel(monkeypatch, paired):
    x, y = rows(90, 7, 3), rows(90 if paired else 70, 7, 4, shift=0.3)
    how = {"paired": paired, "subsets": 8, "subset_size": 40}
    of_parts = kernel_distance(x, y, torch.Generator(), **how)
    monkeypatch.setattr(frechet, "MOST_WHOLE", 0)
    assert kernel_distance(x, y, torch.Generator(), **how) == pytest.approx(of_parts, rel=1e-9)


def test_kernel_distance_is_unbiased():
    """Its mean over pairs of sets of one distribution is zero; the biased estimate's is far from it."""
    values = [
        kernel_distance(rows(60, 3, 2 * seed), rows(60, 3, 2 * seed + 1), torch.Generator()) for seed in range(200)
    ]
    assert abs(np.mean(values)) < 5 * np.std(values, ddof=1) / np.sqrt(200)


def test_kernel_distance_takes_sets_of_different_size():
    x, y = rows(80, 3, 1), rows(200, 3, 2, shift=1.0)
    assert kernel_distance(x, y, torch.Generator().manual_seed(0)) > 0


def pairs(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows, and what a network might make of them: closer to their mean, and a little off."""
    x = rows(n, 3, seed)
    return x, 3 + 0.8 * (x - 3) + 0.1 * rows(n, 3, seed + 1)


@pytest.mark.parametrize("subset_size", [1000, 50])
def test_the_paired_kernel_distance_of_a_set_from_itself_is_zero(subset_size: int):
    x = 10 * rows(120, 9, 0)
    assert kernel_distance(x, x.clone(), torch.Generator(), paired=True, subset_size=subset_size) == 0


def test_the_paired_kernel_distance_is_unbiased():
    """Its mean is that of the distance of rows from what was made of other rows. With the pairs it is too low."""
    count = 600
    apart = [kernel_distance(pairs(30, 4 * s)[0], pairs(30, 4 * s + 2)[1], torch.Generator()) for s in range(count)]
    paired = [kernel_distance(*pairs(30, 4 * s), torch.Generator(), paired=True) for s in range(count)]
    biased = [kernel_distance(*pairs(30, 4 * s), torch.Generator()) for s in range(count)]
    error = np.hypot(np.std(apart, ddof=1), np.std(paired, ddof=1)) / np.sqrt(count)
    assert abs(np.mean(paired) - np.mean(apart)) < 4 * error < abs(np.mean(biased) - np.mean(apart))


def test_the_paired_kernel_distance_is_its_sum_over_pairs():
    x, y = (part.double() for part in pairs(7, 0))

    def k(a: torch.Tensor, b: torch.Tensor) -> float:
        return float((a @ b / 3 + 1) ** 3)

    terms = [
        k(x[i], x[j]) + k(y[i], y[j]) - k(x[i], y[j]) - k(x[j], y[i]) for i in range(7) for j in range(7) if i != j
    ]
    assert kernel_distance(x, y, torch.Generator(), paired=True) == pytest.approx(np.mean(terms), rel=1e-9)


def test_paired_subsets_are_of_the_same_rows():
    """Their mean is the whole's, which subsets drawn apart from each other would have with a far larger spread."""
    x, y = pairs(400, 0)
    whole = kernel_distance(x, y, torch.Generator(), paired=True)
    drawn = kernel_distance(x, y, torch.Generator().manual_seed(0), paired=True, subsets=50, subset_size=100)
    apart = [
        kernel_distance(x, y, torch.Generator().manual_seed(seed), subsets=50, subset_size=100) for seed in range(5)
    ]
    assert abs(drawn - whole) < 0.1 * np.std(apart, ddof=1)


def test_sets_of_different_size_are_not_paired():
    with pytest.raises(ValueError, match="paired"):
        kernel_distance(rows(4, 2, 0), rows(5, 2, 1), torch.Generator(), paired=True)


@pytest.mark.parametrize(("n", "subsets", "subset_size"), [(80, 100, 1000), (200, 10, 50)])
def test_the_spread_of_the_kernel_distance_is_what_it_says(n: int, subsets: int, subset_size: int):
    """On all of two sets, and averaged over subsets of them; the distances' own standard deviation, and its own mean
    over sets that it is taken from."""
    given = {"subsets": subsets, "subset_size": subset_size}
    drawn = [kernel_distance(rows(n, 3, 2 * s), rows(n, 3, 2 * s + 1), torch.Generator(), **given) for s in range(400)]
    said = [kernel_distance_sd(rows(n, 3, s), n, **given) for s in range(100)]
    assert np.mean(said) == pytest.approx(np.std(drawn, ddof=1), rel=0.2)
