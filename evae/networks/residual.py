"""Residual blocks: pre-activated ones (He et al., arXiv 1603.05027) of maps (n, channels, h, w), and dense ones."""

from torch import Tensor, nn

from evae.networks.layers import Block, Pixels, normalisation_layer


class Residual(Block):
    """branch(x) + shortcut(x), for branches that change the shape alike."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut

    def compute(self, x: Tensor) -> Tensor:
        return self.branch(x) + self.shortcut(x)


def same(width: int, normalisation: str) -> Residual:
    """A block that keeps the maps' shape."""
    return Residual(_branch(width, normalisation), nn.Identity())


def halving(width: int, normalisation: str) -> Residual:
    """A block that halves height and width."""
    branch = _branch(width, normalisation, stride=2)
    return Residual(branch, _unit(width, normalisation, Pixels(width, width, stride=2)))


def doubling(before: int, after: int, normalisation: str) -> Residual:
    """A block that doubles height and width, and brings `before` channels to `after`."""
    branch = nn.Sequential(
        _unit(before, normalisation, nn.Conv2d(before, after, 1)),
        _unit(after, normalisation, _transposed(after, after)),
    )
    return Residual(branch, _unit(before, normalisation, _transposed(before, after)))


def _branch(width: int, normalisation: str, stride: int = 1) -> nn.Module:
    return nn.Sequential(
        _unit(width, normalisation, nn.Conv2d(width, width, 3, padding=1)),
        _unit(width, normalisation, nn.Conv2d(width, width, 3, padding=1)),
        _unit(width, normalisation, Pixels(width, width, stride=stride)),
    )


def _unit(channels: int, normalisation: str, convolution: nn.Module) -> nn.Module:
    """Normalisation and ReLU come before the convolution."""
    return nn.Sequential(normalisation_layer(normalisation, channels), nn.ReLU(inplace=True), convolution)


def _transposed(before: int, after: int) -> nn.Module:
    return nn.ConvTranspose2d(before, after, 3, stride=2, padding=1, output_padding=1)


def normalised_dense(numbers: int, hidden: int) -> nn.Module:
    """Of vectors: a hidden layer with ReLU, added to what comes in, and LayerNorm of the sum."""
    branch = nn.Sequential(nn.Linear(numbers, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, numbers))
    return nn.Sequential(Residual(branch, nn.Identity()), nn.LayerNorm(numbers))
