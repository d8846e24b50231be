"""Network families: encoders and decoders; and the discriminator."""

from evae.networks.base import SIZES, Network, network
from evae.networks.cells import Cells, CellsLinear
from evae.networks.conv import Conv
from evae.networks.dense import Dense
from evae.networks.linear import Linear
from evae.networks.lite_vae import LiteVae
from evae.networks.mlp import Mlp
from evae.networks.patchgan import PatchGan
from evae.networks.resnet_v2 import ResNetV2
from evae.networks.sd_vae import SdVae
from evae.networks.table import Table

__all__ = [
    "SIZES",
    "Cells",
    "CellsLinear",
    "Conv",
    "Dense",
    "Linear",
    "LiteVae",
    "Mlp",
    "Network",
    "PatchGan",
    "ResNetV2",
    "SdVae",
    "Table",
    "network",
]
