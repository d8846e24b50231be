"""Metrics as pure functions of tensors: images (n, c, h, w) in [0, 1], features (n, dim) or codes (n,
latent).
"""

from evae.metrics import frechet, latents, neighbours, own, reconstruction, sharpness  # noqa: F401  (they register)
from evae.metrics.base import metric

__all__ = ["metric"]
