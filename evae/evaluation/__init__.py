"""A trained model measured: on test images, on validation images for the search, and beside real images."""

from evae.evaluation.evaluated import Evaluated, evaluate

__all__ = ["Evaluated", "evaluate"]
