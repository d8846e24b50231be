import math

import pytest
import scipy.ndimage
import torch

from evae.metrics.sharpness import grey, sharpness, sharpness_gap


def test_constant_images_and_ramps_have_none():
    ramp = torch.linspace(0, 1, 32, dtype=torch.float64).expand(1, 1, 32, 32)
    assert sharpness(torch.ones(1, 1, 32, 32)).item() == 0
    assert sharpness(ramp).item() == pytest.approx(0, abs=1e-30)


def test_checkerboard_is_16():
    i = torch.arange(32)
    board = ((i[:, None] + i) % 2).float().expand(1, 1, 32, 32)
    assert sharpness(board).item() == 16.0


def test_unit_impulse_is_20_over_its_pixels():
    impulse = torch.zeros(1, 1, 32, 32)
    impulse[0, 0, 16, 16] = 1
    assert sharpness(impulse).item() == pytest.approx(20 / 900)


def test_agrees_with_scipys_laplacian():
    images = torch.rand(5, 3, 20, 17, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for image, value in zip(grey(images), sharpness(images), strict=True):
        response = scipy.ndimage.laplace(image.numpy())[1:-1, 1:-1]
        assert value.item() == pytest.approx(response.var(), rel=1e-12)


def test_grey_is_pillows_luma():
    """Pillow converts by ITU-R 601 as well, to whole levels."""
    from PIL import Image

    images = torch.randint(0, 256, (2, 3, 9, 9), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    for image, ours in zip(images, grey(images.double()), strict=True):
        theirs = torch.tensor(list(Image.fromarray(image.permute(1, 2, 0).numpy()).convert("L").tobytes()))
        assert (ours.flatten() - theirs).abs().max() <= 0.51


def test_rgb_copies_of_a_grey_image_are_as_sharp():
    images = torch.rand(4, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(sharpness(images.expand(-1, 3, -1, -1)), sharpness(images))


@pytest.mark.parametrize(("measured", "gap"), [(0.0, 1.0), (0.03, 0.5), (0.06, 0.0), (0.12, 1.0), (0.6, 9.0)])
def test_a_gap_is_nothing_at_the_sharpness_of_real_images_and_noise_does_not_close_it(measured, gap):
    assert sharpness_gap(measured, real=0.06) == pytest.approx(gap)
    assert sharpness_gap(measured, real=0.0) == math.inf
