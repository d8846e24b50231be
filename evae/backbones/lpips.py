"""LPIPS (Zhang et al., arXiv 1801.03924) and its shift-tolerant kin, ST-LPIPS (Ghildyal & Liu, arXiv 2207.13686).

The second has trunks of other arithmetic (blurs before strides) that were trained anew: its numbers are not those of
the first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from pickle import UnpicklingError

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evae.backbones.efficientnet import enlarge
from evae.backbones.perceptual import PerceptualDistance
from evae.errors import UserError

SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""Mean and standard deviation of ImageNet's red, green and blue, of pixels in [-1, 1]."""
SMALLEST = 32
VGG = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
"""Channels and convolutions of the stages of VGG16."""
ALEX = ((3, 64), (64, 192), (192, 384), (384, 256), (256, 256))
ENDS = {"alex": (0, 2, 5, 8, 10, 12), "vgg": (0, 4, 9, 16, 23, 30)}
"""Where the stages of torchvision's trunks begin and end among their layers."""


class Blur(nn.Module):
    """Every second pixel of a 3 x 3 binomial blur, of maps that are mirrored for 2 px beyond their edges."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        line = torch.tensor([1.0, 2.0, 1.0]) / 4
        self.register_buffer("window", (line[:, None] * line).expand(channels, 1, 3, 3).clone())

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(F.pad(x, [2] * 4, mode="reflect"), self.window, stride=2, groups=x.shape[1])


def load_st_lpips(trunk: str, path: Path) -> PerceptualDistance:
    """ST-LPIPS on the trunk "alex" or "vgg", with the weights that the package stlpips-pytorch ships."""
    weights = read(path)
    stages = shift_tolerant(trunk)
    filled = [layer for stage in stages for layer in stage if isinstance(layer, nn.Conv2d)]
    names = [name.removesuffix(".weight") for name in weights if name.startswith("net.") and name.endswith(".weight")]
    for layer, name in zip(filled, names, strict=True):
        layer.load_state_dict({part: weights[f"{name}.{part}"] for part in ("weight", "bias")})
    return PerceptualDistance(stages, _heads(weights), partial(prepare, smallest=SMALLEST), [path])


def load_lpips(trunk: str, backbone: Path, heads: Path) -> PerceptualDistance:
    """LPIPS v0.1 on torchvision's AlexNet or VGG16 ("alex", "vgg"), from their files of weights and that of the
    heads."""
    from torchvision.models import alexnet, vgg16

    with torch.device("meta"):
        net = (alexnet if trunk == "alex" else vgg16)(weights=None).features
    begin = "features."
    weights = {name.removeprefix(begin): value for name, value in read(backbone).items() if name.startswith(begin)}
    net.load_state_dict(weights, assign=True)
    layers = [nn.ReLU() if isinstance(layer, nn.ReLU) else layer for layer in net]
    stages = [nn.Sequential(*layers[start:end]) for start, end in pairwise(ENDS[trunk])]
    return PerceptualDistance(stages, _heads(read(heads)), partial(prepare, smallest=SMALLEST), [backbone, heads])


def shift_tolerant(trunk: str) -> list[nn.Sequential]:
    """The five stages of the shift-tolerant AlexNet or VGG16, without weights."""
    if trunk == "vgg":
        stages, before = [], 3
        for channels, count in VGG:
            layers: list[nn.Module] = [nn.MaxPool2d(2, stride=1), Blur(before)] if stages else []
            for _ in range(count):
                layers += [nn.Conv2d(before, channels, 3, padding=1), nn.ReLU()]
                before = channels
            stages.append(nn.Sequential(*layers))
        return stages
    kernels, paddings, pooled = (11, 5, 3, 3, 3), (2, 2, 1, 1, 1), (1, 2)
    stages = []
    for index, (before, channels) in enumerate(ALEX):
        convolution = nn.Conv2d(before, channels, kernels[index], padding=paddings[index])
        if index == 0:
            stages.append(nn.Sequential(convolution, Blur(channels), nn.ReLU()))
        else:
            pool = [nn.MaxPool2d(3, stride=1), Blur(before)] if index in pooled else []
            stages.append(nn.Sequential(*pool, convolution, nn.ReLU()))
    return stages


def prepare(images: Tensor, smallest: int) -> Tensor:
    """Images (n, 3, h, w) in [0, 1], standardised, and enlarged where they are smaller."""
    shift, scale = (images.new_tensor(values).view(1, 3, 1, 1) for values in (SHIFT, SCALE))
    return (2 * enlarge(images, smallest) - 1 - shift) / scale


def read(path: Path) -> Mapping[str, Tensor]:
    """The tensors of a file of weights, read as data: code in it is refused. Raises UserError for another file."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError) as error:
        raise UserError(
            f"{path} is no file of weights that can be read as data: {str(error).splitlines()[0]}"
        ) from None


def _heads(weights: Mapping[str, Tensor]) -> Sequence[Tensor]:
    return [weights[f"lin{index}.model.1.weight"].flatten() for index in range(5)]
