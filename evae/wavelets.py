"""The orthonormal Haar transform of images, and its inverse."""

from __future__ import annotations

from evae.errors import UserError
from evae.lazy import TYPE_CHECKING, torch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jaxtyping import Float
    from torch import Tensor

    from evae.shapes import Images


def haar(x: Images) -> Float[Tensor, "n bands height/2 width/2"]:
    """One level: (n, 4 c, h / 2, w / 2) of images (n, c, h, w), first the low band of all channels, then the
    differences of columns, of rows, and of both.

    Of each square of pixels a b / c d the bands have (a + b + c + d) / 2, (a - b + c - d) / 2, (a + b - c - d) / 2 and
    (a - b - c + d) / 2: the sum of squares stays the same. Gradients pass. Raises UserError for odd sides.
    """
    height, width = x.shape[-2:]
    if height % 2 or width % 2:
        raise UserError(f"the Haar transform needs an even height and width, not {height} x {width} pixels.")
    a, b, c, d = (x[..., row::2, column::2] for row in (0, 1) for column in (0, 1))
    upper, lower, left, right = a + b, c + d, a - b, c - d
    return torch.cat([upper + lower, left + right, upper - lower, left - right], 1) / 2


def inverse_haar(bands: Float[Tensor, "n bands height width"]) -> Float[Tensor, "n channels 2*height 2*width"]:
    """The images (n, c, 2 h, 2 w) whose `haar` is (n, 4 c, h, w)."""
    low, columns, rows, both = bands.chunk(4, 1)
    upper, lower, left, right = low + rows, low - rows, columns + both, columns - both
    pixels = torch.stack([upper + left, upper - left, lower + right, lower - right], 2) / 2
    return torch.nn.functional.pixel_shuffle(pixels.flatten(1, 2), 2)


def pyramid(x: Images, levels: int) -> Iterator[Float[Tensor, "n bands _ _"]]:
    """`haar` of levels 1, 2, ...: each of the low band before it, level l divided by 2^l, so that a low band has the
    images' range (LiteVAE, Sadat et al., arXiv 2405.14477, section 4.1). Sides are multiples of 2^levels."""
    for level in range(1, levels + 1):
        bands = haar(x)
        yield bands / 2**level
        x = bands[:, : x.shape[1]]
