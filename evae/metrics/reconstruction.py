"""How close a reconstruction is to its image, pixel by pixel."""

from __future__ import annotations

from evae.lazy import TYPE_CHECKING, F, torch
from evae.metrics.base import metric

if TYPE_CHECKING:
    from torch import Tensor

WINDOW, SIGMA = 11, 1.5
PSNR_CAP_DB = 100.0


@metric("psnr_db", of="pairs", direction="max")
def psnr(images: Tensor, targets: Tensor) -> Tensor:
    """(n,): peak signal-to-noise ratio in dB of images (n, c, h, w) in [0, 1], over all pixels and channels.

    Capped at 100 dB, so that an identical image does not make a mean infinite.
    """
    error = (images - targets).square().mean((1, 2, 3))
    return (-10 * error.log10()).clamp_(max=PSNR_CAP_DB)


@metric("ssim", of="pairs", direction="max")
def ssim(images: Tensor, targets: Tensor) -> Tensor:
    """(n,): structural similarity of images (n, c, h, w) in [0, 1], a mean over pixels and channels.

    Wang et al. 2004, eq. 13 with K1 = 0.01, K2 = 0.03, dynamic range 1 and a Gaussian window of 11 x 11 px,
    sigma 1.5, around every pixel; beyond its edge an image is mirrored, as in torchmetrics. At least 6 px.
    """
    x, y = images.flatten(0, 1)[:, None], targets.flatten(0, 1)[:, None]
    mean_x, mean_y, xx, yy, xy = _blur(torch.cat([x, y, x * x, y * y, x * y])).chunk(5)
    var_x, var_y = (xx - mean_x**2).clamp_(min=0), (yy - mean_y**2).clamp_(min=0)
    luminance = (2 * mean_x * mean_y + 0.01**2) / (mean_x**2 + mean_y**2 + 0.01**2)
    structure = (2 * (xy - mean_x * mean_y) + 0.03**2) / (var_x + var_y + 0.03**2)
    return (luminance * structure).unflatten(0, images.shape[:2]).mean((1, 2, 3, 4))


@metric("r2", of="pairs", direction="max")
def r2(images: Tensor, targets: Tensor) -> Tensor:
    """(n,): the share of the variance of each target (n, c, h, w), over pixels and channels, that its image explains.

    Below 0 where the target's mean grey would be closer. A target of one grey, with nothing to explain, counts 0.
    """
    x, y = images.flatten(1), targets.flatten(1)
    total = (y - y.mean(1, keepdim=True)).square().sum(1)
    return torch.where(total > 1e-9, 1 - (x - y).square().sum(1) / total.clamp(min=1e-9), 0.0)


def _blur(images: Tensor) -> Tensor:
    """Gaussian weighted means around every pixel of images (n, 1, h, w)."""
    height, width = images.shape[2:]
    down = _gaussian(height, images)
    across = down if width == height else _gaussian(width, images)
    return down @ images @ across.T


def _gaussian(side: int, like: Tensor) -> Tensor:
    """(side, side): the window's weights on each pixel of a line, for every pixel of it, mirrored beyond the ends.

    As a product of matrices, on a CPU several times as fast as a convolution of one channel.
    """
    offsets = torch.arange(WINDOW, dtype=like.dtype, device=like.device) - WINDOW // 2
    weights = torch.exp(-(offsets**2) / (2 * SIGMA**2))
    line = torch.arange(side, dtype=like.dtype, device=like.device)[None]
    sources = F.pad(line, [WINDOW // 2] * 2, mode="reflect")[0].long().unfold(0, WINDOW, 1)
    return like.new_zeros(side, side).scatter_add_(1, sources, (weights / weights.sum()).expand(side, -1))
