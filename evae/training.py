"""The one training loop: advances a trial by an epoch and says what it measured.

All randomness of an epoch is derived from (recipe seed, epoch), so a trial restored after epoch e continues with the
numbers it would have had: on one device the results are bit-identical.
"""

import time

import numpy as np
import torch
from torch import Tensor

from evae.data import tensor
from evae.data.base import ImageSet
from evae.errors import UserError
from evae.hardware import resolve_precision
from evae.models import VAE, build_model
from evae.posteriors.base import Recent
from evae.ranks import Ranks, Share
from evae.recipe import Recipe

ORDER, NOISE, AUGMENTATION, VALIDATION = range(4)
"""The independent random streams of an epoch."""


class Diverged(Exception):
    """A loss term stopped being a finite number; `epoch` and `term` say when and which."""

    def __init__(self, epoch: int, term: str, value: float):
        super().__init__(epoch, term, value)
        self.epoch, self.term, self.value = epoch, term, value

    def __str__(self) -> str:
        return f"{self.term} became {self.value} in epoch {self.epoch}"


class Training:
    """A trial in the making: model, optimiser and the epochs done so far.

    `images` stays where it is (shared memory) for a CPU trial; on a GPU the uint8 training split is copied to the
    device once, and batches are cut, scaled and augmented there.

    With several `ranks` each trains on its share of every batch, and all return the same means. Losses are those of
    one process, but for what a network takes from its batch: BatchNorm sees a rank's share only, unless `ranks.wrap`
    synchronises it.
    """

    def __init__(
        self, recipe: Recipe, images: ImageSet, device: torch.device | str = "cpu", ranks: Ranks | None = None
    ):
        self.recipe, self.images, self.device = recipe, images, torch.device(device)
        self.ranks = ranks or Ranks()
        self.precision = resolve_precision(recipe.optimisation.precision, self.device)
        _check(recipe, images, self.ranks)
        self.model: VAE = build_model(
            recipe.posterior,
            recipe.network,
            images.image_size,
            images.channels,
            recipe.latent,
            seed=recipe.seed,
            likelihood=recipe.likelihood,
        ).to(self.device)
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=recipe.optimisation.learning_rate, fused=True)
        self.parallel = self.ranks.wrap(self.model)
        self.epoch = 0
        heads = recipe.posterior.heads * recipe.latent
        self.recent = Recent(recipe.posterior.memory, torch.zeros(0, heads, device=self.device))
        self._train = tensor(images.train).to(self.device)
        self._validation = tensor(images.validation).to(self.device)

    @property
    def finished(self) -> bool:
        return self.epoch >= self.recipe.optimisation.epochs

    def train_epoch(self) -> dict[str, float]:
        """Train one epoch. Loss terms are means over its images, in nats per image; `train_s` is in seconds.

        Raises Diverged before the optimiser steps on a loss that is not finite.
        """
        started, epoch = time.perf_counter(), self.epoch + 1
        noise, flips = self._generator(NOISE, epoch), self._generator(AUGMENTATION, epoch)
        order = torch.randperm(len(self._train), generator=self._generator(ORDER, epoch), device=self.device)
        sums: dict[str, Tensor] = {}
        self.model.train()
        for index in order.split(self.recipe.optimisation.batch_size):
            share = self.ranks.share(len(index))
            batch = self._batch(self._train, index, share, flips)
            with self._autocast():
                terms = self.parallel(batch, noise, share, self.recent)
            # Before the optimiser steps: where one rank's loss is not finite, all of them see it and stop.
            means = self._means(terms, share)
            check_finite(means, epoch)
            self.optimiser.zero_grad(set_to_none=True)
            # Gradients are averaged over ranks as if their shares were equal.
            (terms["loss"] * (share.weight * self.ranks.size)).backward()
            self.optimiser.step()
            _add(sums, means, len(index))
        self.ranks.unify(self.model)
        self.epoch = epoch
        seconds = time.perf_counter() - started
        means = {f"train_{name}_nats": float(total) / len(order) for name, total in sums.items()}
        return means | {"train_s": seconds, "images_per_s": len(order) / seconds}

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Loss terms on the validation split, in nats per image. Raises Diverged when one is not finite."""
        noise, sums = self._generator(VALIDATION, 0), {}
        self.model.eval()
        for index in torch.arange(len(self._validation), device=self.device).split(500):
            share = self.ranks.share(len(index))
            with self._autocast():
                terms = self.model(self._batch(self._validation, index, share), noise, share)
            means = self._means(terms, share)
            check_finite(means, self.epoch)
            _add(sums, means, len(index))
        return {f"val_{name}_nats": float(total) / len(self._validation) for name, total in sums.items()}

    def _batch(self, images: Tensor, index: Tensor, share: Share, flips: torch.Generator | None = None) -> Tensor:
        """The share of images[index] as float32 (n, c, h, w) in [0, 1]; mirrored with probability 1/2 where the
        recipe says so."""
        batch = images[index[share.rows]].float().div_(255)
        if flips is not None and self.recipe.data.horizontal_flip:
            mirrored = torch.rand(len(index), 1, 1, 1, generator=flips, device=self.device) < 0.5
            batch = torch.where(mirrored[share.rows], batch.flip(-1), batch)
        return batch

    def _means(self, terms: dict[str, Tensor], share: Share) -> dict[str, Tensor]:
        """The terms' means over the whole batch."""
        local = torch.stack([value.detach() for value in terms.values()])
        return dict(zip(terms, self.ranks.sum(local * share.weight), strict=True))

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def _generator(self, stream: int, epoch: int) -> torch.Generator:
        return generator(self.device, self.recipe.seed, epoch, stream)


def _check(recipe: Recipe, images: ImageSet, ranks: Ranks) -> None:
    """Raise UserError for a recipe that these images, or that many ranks, cannot train."""
    if recipe.optimisation.batch_size < ranks.size:
        raise UserError(
            f"a batch of {recipe.optimisation.batch_size} cannot be shared by {ranks.size} processes: "
            f"give batch_size at least {ranks.size}, or fewer workers per trial."
        )
    if recipe.posterior.memory > len(images.train):
        raise UserError(
            f"mixture_size is {recipe.posterior.memory}, but there are only {len(images.train)} training images: "
            "give at most as many."
        )


def generator(device: torch.device | str, *key: int) -> torch.Generator:
    """A generator on `device` whose seed is hashed from non-negative integers, so that keys never overlap."""
    seed = int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1)
    return torch.Generator(device).manual_seed(seed)


def check_finite(terms: dict[str, Tensor], epoch: int) -> None:
    """Raise Diverged for the first term that is not finite. One read back from the device a step."""
    if not torch.isfinite(torch.stack([value.detach() for value in terms.values()])).all():
        for name, value in terms.items():
            if not torch.isfinite(value):
                raise Diverged(epoch, name, float(value.detach()))


def _add(sums: dict[str, Tensor], terms: dict[str, Tensor], count: int) -> None:
    for name, value in terms.items():
        sums[name] = sums.get(name, 0) + value.detach().double() * count
