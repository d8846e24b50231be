"""Prior families: what a posterior is trained against, where that is not the one of its own family."""

from evae.priors.base import Prior, prior
from evae.priors.mixture import MixturePrior

__all__ = ["MixturePrior", "Prior", "prior"]
