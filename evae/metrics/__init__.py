"""Metrics as pure functions of tensors: images (n, c, h, w) in [0, 1], features (n, dim) or codes (n,
latent).
"""

from evae.metrics import own  # noqa: F401  its features have their names from the start
