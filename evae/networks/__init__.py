"""Network families: encoders and decoders; and the discriminator."""

from evae.networks.base import Network
from evae.networks.conv import SIZES, Conv
from evae.networks.patchgan import PatchGan
from evae.networks.resnet_v2 import ResNetV2

FAMILIES: dict[str, type[Network]] = {cls.family: cls for cls in (Conv, ResNetV2)}

__all__ = ["FAMILIES", "SIZES", "Conv", "Network", "PatchGan", "ResNetV2"]
