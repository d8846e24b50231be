import math

import pytest
import torch
from later import Later
from sklearn.metrics import r2_score

from evae.metrics.reconstruction import PSNR_CAP_DB, psnr, r2, ssim

torchmetrics = Later("torchmetrics.functional.image")


def pair(n: int, c: int, h: int, w: int) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    x = torch.rand(n, c, h, w, generator=draw)
    return (x + 0.1 * torch.randn(x.shape, generator=draw)).clamp(0, 1), x


def test_psnr_of_a_known_error():
    x = torch.full((2, 1, 8, 8), 0.5)
    assert psnr(x + torch.tensor([0.1, 0.01]).reshape(2, 1, 1, 1), x).tolist() == pytest.approx([20, 40], rel=1e-5)


def test_psnr_agrees_with_torchmetrics_image_by_image():
    x, y = pair(4, 3, 16, 12)
    theirs = torchmetrics.peak_signal_noise_ratio(x, y, data_range=1.0, reduction="none", dim=(1, 2, 3))
    torch.testing.assert_close(psnr(x, y), theirs)


def test_psnr_of_an_identical_image_is_capped():
    x, _ = pair(2, 1, 8, 8)
    assert psnr(x, x).tolist() == [PSNR_CAP_DB] * 2


@pytest.mark.parametrize("shape", [(6, 1, 28, 28), (4, 3, 32, 40), (2, 1, 11, 11)])
def test_ssim_agrees_with_torchmetrics(shape: tuple[int, int, int, int]):
    x, y = pair(*shape)
    theirs = torchmetrics.structural_similarity_index_measure(x, y, data_range=1.0, reduction="none")
    torch.testing.assert_close(ssim(x, y), theirs, rtol=1e-5, atol=1e-5)


def test_ssim_of_an_identical_image_is_one_and_of_its_negative_below_zero():
    x, _ = pair(3, 1, 28, 28)
    assert ssim(x, x).tolist() == pytest.approx([1] * 3)
    assert (ssim(1 - x, x) < 0).all()


def test_ssim_of_flat_images_is_the_luminance_term():
    a, b = 0.3, 0.6
    expected = (2 * a * b + 1e-4) / (a * a + b * b + 1e-4)
    flat = torch.ones(1, 1, 16, 16)
    assert math.isclose(ssim(a * flat, b * flat).item(), expected, rel_tol=1e-3)


def test_r2_is_the_share_of_variance_image_by_image():
    x, y = pair(4, 3, 16, 12)
    expected = [r2_score(a.flatten().numpy(), b.flatten().numpy()) for a, b in zip(y, x, strict=True)]
    assert r2(x, y).tolist() == pytest.approx(expected, rel=1e-4)
    grey = torch.full((1, 1, 8, 8), 0.3)
    assert r2(grey + 0.1, grey).tolist() == r2(grey, grey).tolist() == [0]
