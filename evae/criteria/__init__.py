"""Further terms of the loss, beside the likelihood's and the posterior's."""

from evae.criteria.base import Criterion, Seen, criterion
from evae.criteria.mmd import MMD

__all__ = ["MMD", "Criterion", "Seen", "criterion"]
