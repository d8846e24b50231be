r"""Networks for images of 96 pixels, which ours do not take.

    python studies/kernel_sweep.py --plugin examples/network_96px.py --network strided \
        --data folder:~/pictures --image-size 96
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from evae.errors import UserError
from evae.networks import Network, network

DEPTH = 5  # halvings: 96 px become 3


@network
@dataclass(frozen=True, kw_only=True)
class Strided(Network):
    """Five strided convolutions down, five transposed ones up; `width` scales the channels."""

    family: ClassVar[str] = "strided"

    width: float = 1.0

    def build(self, image_size: int, channels: int, latent: int, heads: int) -> tuple[nn.Module, nn.Module]:
        if image_size != 96:
            raise UserError(f"the strided networks take images of 96 pixels, not {image_size}: use --image-size 96")
        widths = [max(8, round(32 * self.width * 2 ** min(k, 2) / 8) * 8) for k in range(DEPTH)]
        side, deepest = image_size // 2**DEPTH, widths[-1]
        down, before = [], channels
        for width in widths:
            down += [nn.Conv2d(before, width, 4, 2, 1, bias=False), nn.BatchNorm2d(width), nn.LeakyReLU(0.1)]
            before = width
        encoder = nn.Sequential(*down, nn.Flatten(), nn.Linear(deepest * side**2, heads * latent))
        up = [nn.Linear(latent, deepest * side**2), nn.Unflatten(1, (deepest, side, side)), nn.LeakyReLU(0.1)]
        for width in [*widths[-2::-1]]:
            up += [nn.ConvTranspose2d(before, width, 4, 2, 1, bias=False), nn.BatchNorm2d(width), nn.LeakyReLU(0.1)]
            before = width
        return encoder, nn.Sequential(*up, nn.ConvTranspose2d(before, channels, 4, 2, 1))
