"""Intensities and whitened pictures, against what they are for."""

import numpy as np
import pytest

from evae.data.pictures import BrokenPicture
from evae.data.whitening import intensities, whiten


def natural(height: int = 96, width: int = 128) -> np.ndarray:
    """Noise whose amplitudes fall with 1 / f, as those of natural pictures."""
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)
    f = np.hypot(rows, columns)
    f[0, 0] = np.inf
    noise = np.fft.rfft2(np.random.default_rng(0).standard_normal((height, width)))
    return np.fft.irfft2(noise / f, s=(height, width))


def power(picture: np.ndarray, low: float, high: float) -> float:
    """The mean of squared amplitudes in a band of frequencies, in cycles per pixel; edges are faded out."""
    window = np.outer(np.hanning(picture.shape[0]), np.hanning(picture.shape[1]))
    found = np.abs(np.fft.fft2(picture * window)) ** 2
    f = np.hypot(*np.meshgrid(*(np.fft.fftfreq(side) for side in picture.shape), indexing="ij"))
    return float(found[(f > low) & (f < high)].mean())


def test_frequencies_that_are_not_noise_are_equally_strong_and_the_others_weak():
    picture = natural()
    low, middle, high = ((0.05, 0.1), (0.1, 0.2), (0.45, 0.5))
    assert power(picture, *low) > 3 * power(picture, *middle)
    found = whiten(picture)
    assert power(found, *low) == pytest.approx(power(found, *middle), rel=0.25)
    assert power(found, *high) < 0.2 * power(found, *middle)


def test_light_and_contrast_of_a_picture_do_not_matter():
    picture = natural()
    found = whiten(picture)
    assert abs(found.mean()) < 1e-6 and found.std() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(whiten(3 + 0.01 * picture), found, atol=1e-4)


def test_neighbours_across_a_turn_say_the_same():
    """The filter knows no direction."""
    picture = natural()
    np.testing.assert_allclose(whiten(picture[::-1].T), whiten(picture)[::-1].T, atol=1e-5)


def test_a_picture_of_one_grey_has_no_scale():
    with pytest.raises(BrokenPicture, match="of one grey, which cannot be whitened"):
        whiten(np.full((20, 30), 0.3, dtype=np.float32))


def test_intensities_are_light():
    levels = np.array([[0, 10, 118, 188, 255]], dtype=np.uint8)
    # sRGB of 18 % grey is 118, and of half the light 188.
    np.testing.assert_allclose(intensities(levels, log=False)[0], [0, 0.003, 0.18, 0.5, 1], atol=3e-3)
    logs = intensities(levels, log=True)[0]
    assert logs[0] == 0 and logs[-1] == 1 and (np.diff(logs) > 0).all()
    # Twice the light is as much brighter wherever it is not dark.
    light = np.interp([0.25, 0.5, 1.0], intensities(np.arange(256, dtype=np.uint8)[None], log=False)[0], np.arange(256))
    steps = np.diff(intensities(np.round(light).astype(np.uint8)[None], log=True)[0])
    assert steps[0] == pytest.approx(steps[1], rel=0.05)
