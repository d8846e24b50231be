"""The shapes of what goes through a model. They stand in annotations, which every test checks (tests/conftest.py)."""

from jaxtyping import Float
from torch import Tensor

Images = Float[Tensor, "n channels height width"]
Maps = Float[Tensor, "n channels height width"]
Heads = Float[Tensor, "n heads_latent"]
Codes = Float[Tensor, "n latent"]
Standardised = Float[Tensor, "n varying"]
Dial = float | Float[Tensor, ""]
"""What may change from step to step: a number, or a tensor on the device, as a step that is captured needs it."""
Data = Float[Tensor, "n *shape"]
"""Images, or what else is modelled: points, for instance."""
