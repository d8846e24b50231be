"""Network families: encoders and decoders."""

from evae.networks.base import Network
from evae.networks.conv import SIZES, Conv

FAMILIES: dict[str, type[Network]] = {cls.family: cls for cls in (Conv,)}

__all__ = ["FAMILIES", "SIZES", "Conv", "Network"]
