"""Kinds of inference: how codes are found for training data, by an encoder that learns with the decoder or without."""

from evae.inference.amortised import Amortised
from evae.inference.base import Course, Inference, Rows, Step, inference

__all__ = ["Amortised", "Course", "Inference", "Rows", "Step", "inference"]
