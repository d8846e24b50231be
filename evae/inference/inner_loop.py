"""An encoder that is never behind: before each step it is trained alone for as long as that helps."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import ClassVar

from evae.errors import UserError
from evae.inference.base import Course, Inference, Step, inference
from evae.lazy import TYPE_CHECKING, torch

if TYPE_CHECKING:
    from torch import Tensor


class InnerLoopCourse(Course):
    """Counts the encoder's own steps."""

    def start_epoch(self, epoch: int) -> None:
        self.steps: list[int] = []

    def terms(self, step: Step) -> dict[str, Tensor]:
        before, done = None, 0
        while done < self.inference.most:
            window = [self._encoder_step(step) for _ in range(min(self.inference.window, self.inference.most - done))]
            done += len(window)
            if before is not None and not fmean(window) < before:
                break
            before = fmean(window)
        self.steps.append(done)
        return step.bound(step.x)

    def _encoder_step(self, step: Step) -> float:
        """A step of the encoder on training images drawn anew; their loss, over all processes."""
        share = step.share
        drawn = torch.randint(len(self.train), (share.whole,), generator=step.noise, device=step.x.device)
        loss = step.bound(self.train[drawn[share.rows]])["loss"]
        step.descend(loss, self.model.encoder.parameters())
        return float(share.ranks.sum(share.part(loss.detach())))

    def end_epoch(self) -> dict[str, float]:
        return {"train_encoder_steps": fmean(self.steps)}


@inference
@dataclass(frozen=True, kw_only=True)
class InnerLoop(Inference):
    """Before every step the encoder alone takes steps on images drawn anew, until the mean loss of `window` of them is
    not below that of the `window` before, or after `most` steps (He et al., arXiv 1901.05534, algorithm 1).

    The step that follows moves both, where theirs moves the decoder; and the loop goes on until the end, where theirs
    ends once the mutual information of images and codes stops rising.
    """

    family: ClassVar[str] = "inner_loop"
    course: ClassVar[type[Course]] = InnerLoopCourse

    window: int = 10
    most: int = 100

    def __post_init__(self) -> None:
        for name in ("window", "most"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} of the inner_loop inference must be at least 1, got {getattr(self, name)}")
