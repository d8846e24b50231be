"""The shapes of what goes through a model. They stand in annotations, which every test checks (tests/conftest.py)."""

from jaxtyping import Float
from torch import Tensor

Images = Float[Tensor, "n channels height width"]
Maps = Float[Tensor, "n channels height width"]
Heads = Float[Tensor, "n heads_latent"]
Codes = Float[Tensor, "n latent"]
Standardised = Float[Tensor, "n varying"]
Data = Float[Tensor, "n *shape"]
"""Images, or what else is modelled: points, for instance."""
