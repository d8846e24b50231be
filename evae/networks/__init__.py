"""Network families: encoders and decoders; and discriminators."""

from evae.networks.base import SIZES, Network, network
from evae.networks.cells import Cells, CellsLinear
from evae.networks.conv import Conv
from evae.networks.dense import Dense
from evae.networks.discriminator import Discriminator, discriminator
from evae.networks.linear import Linear
from evae.networks.lite_vae import LiteVae
from evae.networks.mlp import Mlp
from evae.networks.patchgan import PatchGan
from evae.networks.resnet_v2 import ResNetV2
from evae.networks.sd_vae import SdVae
from evae.networks.table import Table
from evae.networks.unet_discriminator import UNetDiscriminator

__all__ = [
    "SIZES",
    "Cells",
    "CellsLinear",
    "Conv",
    "Dense",
    "Discriminator",
    "Linear",
    "LiteVae",
    "Mlp",
    "Network",
    "PatchGan",
    "ResNetV2",
    "SdVae",
    "Table",
    "UNetDiscriminator",
    "discriminator",
    "network",
]
