"""Intensities of pictures, and pictures whose neighbouring pixels say nothing of each other."""

import numpy as np

from evae.data.pictures import BrokenPicture

DARKEST = 0.01
"""Of intensities, added before their logarithm is taken."""
CUT_OFF = 0.4
"""Cycles per pixel: the 200 per picture of 512 px in Olshausen & Field (1997)."""
FLAT = 1e-6
"""Standard deviation of the intensities below which a picture shows nothing."""


def intensities(levels: np.ndarray, *, log: bool) -> np.ndarray:
    """Of grey levels, uint8 (h, w) in sRGB, the light that they stand for (IEC 61966-2-1), or its logarithm, from 0 for
    black to 1 for white. Shape (h, w), float32."""
    x = np.arange(256) / 255
    light = np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)
    if log:
        light = np.log1p(light / DARKEST) / np.log1p(1 / DARKEST)
    return light.astype(np.float32)[levels]


def whiten(picture: np.ndarray) -> np.ndarray:
    """A picture (h, w) through the filter f exp(-(f / 0.4)^4) of the spatial frequency f in cycles per pixel, with mean
    0 and variance 1; float32.

    Olshausen & Field, "Sparse coding with an overcomplete basis set" (1997): natural pictures' amplitudes fall with 1 /
    f, and the highest frequencies are mostly noise. The picture is continued as its mirror image, so that its edges are
    none of its contents. Raises BrokenPicture for one without contrast, which has no scale.
    """
    from scipy.fft import dctn, idctn

    if picture.std() < FLAT:
        raise BrokenPicture("of one grey, which cannot be whitened")
    rows, columns = (np.arange(side) / (2 * side) for side in picture.shape)
    f = np.hypot(rows[:, None], columns)
    found = idctn(dctn(picture.astype(np.float64), norm="ortho") * f * np.exp(-((f / CUT_OFF) ** 4)), norm="ortho")
    return (found / found.std()).astype(np.float32)
