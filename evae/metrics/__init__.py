"""Metrics as pure functions of tensors: images (n, c, h, w) in [0, 1], features (n, dim) or codes (n,
latent).
"""

from evae.metrics import (  # noqa: F401  (they register themselves)
    cost,
    downstream,
    frechet,
    latents,
    neighbours,
    own,
    perceptual,
    reconstruction,
    sharpness,
    shattering,
)
from evae.metrics.base import metric
from evae.metrics.perceptual import perceptual_distance

__all__ = ["metric", "perceptual_distance"]
