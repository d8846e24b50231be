"""Kinds of inference: how codes are found for training data, by an encoder that learns with the decoder or without."""

from evae.inference.amortised import Amortised
from evae.inference.base import Course, Inference, Rows, Step, inference
from evae.inference.em import Em
from evae.inference.inner_loop import InnerLoop
from evae.inference.mapa import Mapa

__all__ = ["Amortised", "Course", "Em", "Inference", "InnerLoop", "Mapa", "Rows", "Step", "inference"]
