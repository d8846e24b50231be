"""The Inception network of the original FID (Heusel et al. 2017), with pytorch-fid's weights and pooling
patches.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

DIM = 2048
RESIZE = "bilinear to 299 x 299 px, no antialiasing, corners not aligned (pytorch-fid)"


def prepare(images: Tensor) -> Tensor:
    """Images (n, 3, h, w) in [0, 1] to the network's input: 299 px, [-1, 1]."""
    return interpolate(images, size=(299, 299), mode="bilinear", align_corners=False).mul_(2).sub_(1)


def load_inception(path: Path) -> nn.Module:
    """The network up to its last mixed block, maps (n, 2048, 8, 8), from pytorch-fid's file of weights."""
    net = build_inception()
    net.load_state_dict(torch.load(path, weights_only=True))
    # In order of registration, which is the order of computation; pooling and classifier come after.
    stages = [stage for name, stage in net.named_children() if name not in ("avgpool", "dropout", "fc")]
    return nn.Sequential(*stages)


def build_inception() -> nn.Module:
    """torchvision's Inception v3 with pytorch-fid's patched blocks, without weights."""
    from pytorch_fid.inception import FIDInceptionA, FIDInceptionC, FIDInceptionE_1, FIDInceptionE_2
    from torchvision.models import inception_v3

    net = inception_v3(weights=None, num_classes=1008, aux_logits=False, init_weights=False)
    net.Mixed_5b = FIDInceptionA(192, pool_features=32)
    net.Mixed_5c = FIDInceptionA(256, pool_features=64)
    net.Mixed_5d = FIDInceptionA(288, pool_features=64)
    net.Mixed_6b = FIDInceptionC(768, channels_7x7=128)
    net.Mixed_6c = FIDInceptionC(768, channels_7x7=160)
    net.Mixed_6d = FIDInceptionC(768, channels_7x7=160)
    net.Mixed_6e = FIDInceptionC(768, channels_7x7=192)
    net.Mixed_7b = FIDInceptionE_1(1280)
    net.Mixed_7c = FIDInceptionE_2(2048)
    return net
