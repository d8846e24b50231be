"""Further terms of the loss, beside the likelihood's and the posterior's."""

from evae.criteria.base import Criterion, Seen, criterion
from evae.criteria.high_frequency import HighFrequency
from evae.criteria.images import ImageCriterion
from evae.criteria.mmd import MMD
from evae.criteria.perceptual import Perceptual
from evae.criteria.pixels import L1, L2, Charbonnier
from evae.criteria.wavelet import Wavelet

__all__ = [
    "L1",
    "L2",
    "MMD",
    "Charbonnier",
    "Criterion",
    "HighFrequency",
    "ImageCriterion",
    "Perceptual",
    "Seen",
    "Wavelet",
    "criterion",
]
