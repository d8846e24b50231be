"""One step of a training: a batch's terms, both optimisers, and the mean of the weights."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evae.data.pixels import unit
from evae.inference import Step
from evae.optimiser import move
from evae.ranks import Share
from evae.shapes import Dial
from evae.stepping.plan import Dials
from evae.stepping.tally import Names, Tally

if TYPE_CHECKING:
    from evae.training import Training


@dataclass(frozen=True)
class Done:
    """What a step has noted: its terms, and numbers beside them. Of all ranks, it has `decoded` so many codes."""

    names: Names
    beside: Names
    decoded: int


class TrainingStep:
    """Takes the steps of a training. What differs between two of a kind comes in tensors, and nothing is read back but
    by a tally that looks at each step: so that on CUDA steps can be captured (`evae.recording.program`).

    From a step on that has a term which is not finite nothing moves any more: neither weights, nor what optimisers
    keep, nor the mean of the weights, nor what a posterior remembers. (BatchNorm's running averages may: training has
    no use for them.)
    """

    def __init__(self, training: Training, tally: Tally, noise: torch.Generator, flips: torch.Generator):
        self.training, self.tally, self.noise, self.flips = training, tally, noise, flips
        self.passes: list[int] = []
        """How many codes each pass of the decoder had, since the last step."""

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Within, passes of the decoder are counted."""
        self.passes.clear()
        count = self.training.trained.decoder.register_forward_hook(
            lambda _, given, outputs: self.passes.append(len(outputs))
        )
        try:
            yield
        finally:
            count.remove()

    def take(self, index: Tensor, pixels: Tensor, share: Share, dials: Dials, *, halved: bool, judged: bool) -> Done:
        """A step on the rows `index` of the training split, of which `pixels` are this process's share. Where it fails
        on the way, it has not been: what cannot be recorded is taken once more as it comes."""
        remembered, passed = self.training.recent.heads, len(self.passes)
        try:
            return self._take(index, pixels, share, dials, halved, judged)
        except Exception:
            self.training.recent.heads = remembered
            del self.passes[passed:]
            raise

    def _take(self, index: Tensor, pixels: Tensor, share: Share, dials: Dials, halved: bool, judged: bool) -> Done:
        training, beside = self.training, {}
        x = unit(pixels, training.device)
        if training.recipe.data.horizontal_flip:
            x = mirrored(x, share, self.flips)
        x = F.avg_pool2d(x, 2) if halved else x
        adversary, remembered = training.adversary if judged else None, training.recent.heads
        with training.autocast(), training.compiled.at_work():
            judge = adversary and adversary.judge
            given = {"share": share, "recent": training.recent, "judge": judge, "beta_factor": dials.beta}
            bound = partial(training.trained, generator=self.noise, progress=dials.progress, **given)
            descend = partial(self._descend, share=share, rate=dials.rate)
            parts = {"index": index, "x": x, "share": share, "noise": self.noise, "progress": dials.progress}
            terms = training.course.terms(Step(bound=bound, descend=descend, **parts))
            if adversary:
                terms |= adversary.terms(x)
        self._note(terms, share, remembered)
        loss = terms["loss"]
        if adversary:
            each = beside["adversarial_weight"] = adversary.weight(dials.adversarial, terms, share, training.trained)
            loss = loss + each * terms["adversarial"]
        beside |= self._step(training.optimiser, loss, share, dials.rate)
        if adversary:
            self._step(adversary.optimiser, terms["discriminator"], share, dials.rate)
        if training.recipe.optimisation.ema is not None:
            self._average(dials.average)
        for name, value in beside.items():
            self.tally.beside(name, value)
        # Those of all ranks, each of which has as many for every image.
        decoded = sum(self.passes) * share.whole // (share.stop - share.start)
        self.passes.clear()
        return Done(tuple(terms), tuple(beside), decoded)

    def _note(self, terms: dict[str, Tensor], share: Share, remembered: Tensor) -> None:
        """Before an optimiser moves: where one rank's loss is not finite, all of them see it and stop."""
        local, recent = torch.stack([value.detach() for value in terms.values()]), self.training.recent
        self.tally.note(tuple(terms), self.training.ranks.sum(share.part(local)))
        stopped = self.tally.stopped
        if stopped is None or not recent.capacity:
            return
        if recent.heads.shape != remembered.shape:
            # It is being filled up, for some steps, and each of them is of another kind.
            recent.heads = remembered if stopped else recent.heads
        else:
            remembered.copy_(torch.where(stopped > 0, remembered, recent.heads))
            recent.heads = remembered

    def _step(
        self,
        optimiser: torch.optim.Optimizer,
        loss: Tensor,
        share: Share,
        rate: Dial,
        only: Collection[nn.Parameter] | None = None,
    ) -> dict[str, Tensor]:
        """`rate` is what the learning rate is multiplied by; `only` these parameters move (None: all). The gradient's
        norm, if it is clipped."""
        optimiser.zero_grad(set_to_none=True)
        share.part(loss).backward()
        (group,) = optimiser.param_groups
        if only is not None:
            for parameter in group["params"]:
                if parameter not in only:
                    parameter.grad = None
        self.training.ranks.sum_gradients(group["params"])
        group["lr"] = optimiser.defaults["lr"] * rate
        most = self.training.recipe.optimisation.clip_norm
        norm = {} if most is None else {"gradient_norm": nn.utils.clip_grad_norm_(group["params"], most)}
        move(optimiser, self.tally.stopped)
        return norm

    def _descend(self, loss: Tensor, parameters: Iterable[nn.Parameter], share: Share, rate: Dial) -> None:
        """A step of the VAE's optimiser for these of its parameters alone."""
        with torch.autocast(self.training.device.type, enabled=False):
            self._step(self.training.optimiser, loss, share, rate, set(parameters))

    @torch.no_grad()
    def _average(self, last: Dial) -> None:
        """Take the weights after a step into their mean, of which they are this share."""
        if self.tally.stopped is not None:
            last = last * (1 - self.tally.stopped)
        for mean, weight in zip(self.training.model.parameters(), self.training.trained.parameters(), strict=True):
            mean.lerp_(weight, last)


def mirrored(x: Tensor, share: Share, flips: torch.Generator) -> Tensor:
    """The share of a batch (n, c, h, w), each image mirrored with probability 1/2."""
    drawn = torch.rand(share.whole, 1, 1, 1, generator=flips, device=x.device) < 0.5
    return torch.where(drawn[share.rows], x.flip(-1), x)
