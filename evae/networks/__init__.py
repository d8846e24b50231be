"""Network families: encoders and decoders; and the discriminator."""

from evae.networks.base import Network, network
from evae.networks.conv import SIZES, Conv
from evae.networks.dense import Dense
from evae.networks.linear import Linear
from evae.networks.mlp import Mlp
from evae.networks.patchgan import PatchGan
from evae.networks.resnet_v2 import ResNetV2

__all__ = ["SIZES", "Conv", "Dense", "Linear", "Mlp", "Network", "PatchGan", "ResNetV2", "network"]
