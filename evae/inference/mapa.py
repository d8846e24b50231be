"""MAPA-inspired inference: posterior weights that the data alone give, fixed before training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from evae.inference.base import Course, inference
from evae.inference.index import IndexCourse, IndexInference


@inference
@dataclass(frozen=True, kw_only=True)
class Mapa(IndexInference):
    """The generative model learned alone: W_ni = softmax over i of -|x_n - x_i|^2 / (2 width^2), and of the codes z_i
    the bound is maximised

        mean over n of [sum over i of W_ni ln p(x_n | z_i) + H(W_n)] - ln N

    MAPA-inspired: our one reading of Yacoby, Pan & Doshi-Velez, "Towards Model-Agnostic Posterior Approximation for
    Fast and Accurate Variational Autoencoders" (arXiv 2403.08941), of which only the abstract was at hand. Not MAPA.
    """

    family: ClassVar[str] = "mapa"
    title: ClassVar[str] = "MAPA-inspired inference"
    course: ClassVar[type[Course]] = IndexCourse
