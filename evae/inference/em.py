"""Expectation maximisation on the training points' codes: the exact index posterior, once an epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from evae.errors import UserError
from evae.inference.base import Course, inference
from evae.inference.bound import exact_weights
from evae.inference.index import IndexCourse, IndexInference
from evae.lazy import torch


class EmCourse(IndexCourse):
    """After the first epochs W is the posterior of the model as the last epoch left it: exact where all points are
    neighbours, and among each point's neighbours where they are not."""

    inference: Em

    def start_epoch(self, epoch: int) -> None:
        super().start_epoch(epoch)
        if epoch > self.inference.after:
            self._expect()
            self._solve()

    def _expect(self) -> None:
        index = self.near.index
        with torch.no_grad():
            logs = self._log_likelihoods(self._decoded(), slice(None), index)
        self._take(exact_weights(index, logs))


@inference
@dataclass(frozen=True, kw_only=True)
class Em(IndexInference):
    """The upper control of MAPA-inspired inference. It begins as that does, and keeps the codes; but `after` so many
    epochs each begins with new weights, the exact posterior of the decoder, for one more pass of it over all codes. The
    bound is then the likelihood of the empirical model, which exact steps would never lower; an epoch of gradient steps
    may.

    Not from the first epoch on: the posterior of a decoder that knows nothing yet gives every code to every point, and
    stays so.
    """

    family: ClassVar[str] = "em"
    title: ClassVar[str] = "expectation maximisation"
    course: ClassVar[type[Course]] = EmCourse

    after: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.after < 1:
            raise UserError(f"after must be at least 1 epoch with the kernel's weights, got {self.after}.")
