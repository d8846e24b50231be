"""The one training loop: advances a trial by an epoch and says what it measured.

All randomness of an epoch is derived from (recipe seed, epoch), so a trial restored after epoch e continues with the
numbers it would have had: on one device the results are bit-identical.
"""

import copy
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import partial
from statistics import fmean
from statistics import mean as exact_mean

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evae import batch_statistics
from evae.adversary import Adversary
from evae.compiled import Compiled
from evae.criteria import criterion
from evae.data import batch, tensor
from evae.data.ahead import ahead
from evae.data.base import ImageSet
from evae.data.pixels import unit
from evae.data.stream import Stream
from evae.errors import Diverged
from evae.hardware import repeatable, resolve_precision
from evae.inference import Step
from evae.models import VAE, build_model
from evae.networks.layers import recompute
from evae.optimiser import optimiser
from evae.posteriors.base import Recent
from evae.ranks import Ranks, Share
from evae.recipe import Recipe

ORDER, NOISE, AUGMENTATION, VALIDATION, DISCRIMINATOR, TEST, STATISTICS = range(7)
"""The independent random streams of an epoch. Those that are not of training belong to epoch 0, which none is: the
codes' noise when a split is measured, or when statistics are estimated, and the discriminator's first weights."""
STREAMS = {"validation": VALIDATION, "test": TEST}
JUDGED = ("adversarial", "discriminator", "disc_accuracy")
"""The terms of a discriminator."""
SPLIT_CHUNK = 500
STATISTICS_IMAGES = 250
"""How many training images BatchNorm's statistics are estimated on after an epoch, at once: the default study's
reconstruction distances are then within 1.4 % of what all 4,000 images give, for which a third of an epoch would pass
(benchmarks/results/batch_statistics.md)."""


class Training:
    """A trial in the making: model, optimiser, discriminator if there is one, and the epochs done so far.

    `trained` is the model whose weights the optimiser moves, and `model` the one that is measured and kept: the same,
    or with the recipe's `ema` one of the mean weights.

    `images` stays where it is (shared memory) for a CPU trial; on a GPU the uint8 training split is copied to the
    device once, and batches are cut, scaled and augmented there. Of images that stay in their files, each rank reads
    its own share of the next batches while it trains on one; the numbers are the same.

    With `recomputes`, blocks of the networks (`evae.networks.layers.Block`) keep little for gradients: the numbers are
    the same.

    With several `ranks` each trains on its share of every batch, and all return the same means. Losses are those of
    one process, but for what a network takes from its batch: BatchNorm sees a rank's share only, unless `ranks.wrap`
    synchronises it.
    """

    def __init__(
        self,
        recipe: Recipe,
        images: ImageSet,
        device: torch.device | str = "cpu",
        ranks: Ranks | None = None,
        *,
        recomputes: bool = False,
    ):
        self.recipe, self.images, self.device = recipe, images, torch.device(device)
        self.ranks, self.recomputes = ranks or Ranks(), recomputes
        repeatable(self.device)
        self.precision = resolve_precision(recipe.optimisation.precision, self.device)
        recipe.check_trainable(self.ranks.size, images.image_size, len(images.train))
        self.trained: VAE = build_model(
            recipe.posterior,
            recipe.network,
            images.image_size,
            images.channels,
            recipe.latent,
            seed=recipe.seed,
            likelihood=recipe.likelihood,
            prior=recipe.prior,
            criteria=recipe.criteria,
            kind=images.kind,
            importance_samples=recipe.importance_samples,
        ).to(self.device)
        optimisation = recipe.optimisation
        averaged = optimisation.ema is not None
        self.model: VAE = copy.deepcopy(self.trained).requires_grad_(False) if averaged else self.trained
        self.steps = -(-len(images.train) // optimisation.batch_size)
        """Of an epoch."""
        self.optimiser = optimiser(
            optimisation.optimiser,
            self.trained.parameters(),
            optimisation.learning_rate,
            optimisation.beta1,
            optimisation.weight_decay,
        )
        if recomputes:
            recompute(self.trained)
        networks = (self.trained.encoder, self.trained.decoder) if optimisation.compiled else ()
        self.compiled = Compiled(networks)
        self.parallel = self.ranks.wrap(self.trained)
        self.adversary: Adversary | None = None
        if recipe.adversarial is not None:
            shape, seed = (images.image_size, images.channels), hashed(recipe.seed, 0, DISCRIMINATOR)
            parts = recipe.adversarial, optimisation
            self.adversary = Adversary(*parts, *shape, self.device, self.ranks, seed=seed)
        self.epoch = 0
        heads = recipe.posterior.heads * self.model.latent
        self.recent = Recent(recipe.posterior.memory, torch.zeros(0, heads, device=self.device))
        self._train, self._validation = (
            split if isinstance(split, Stream) else tensor(split).to(self.device)
            for split in (images.train, images.validation)
        )
        self._test = images.test
        rows = Split(self, self._train), Split(self, self._validation)
        self.course = recipe.inference.begin(self.trained, *rows)
        self._losses: dict[str, tuple[int, dict[str, float]]] = {}

    @property
    def finished(self) -> bool:
        return self.epoch >= self.recipe.optimisation.epochs

    def first_terms(self) -> dict[str, tuple[float, float]]:
        """Each term that counts in the loss, on the first training images as one batch, and its full weight, warm-ups
        and later starts done. For a training of which nothing else is asked: BatchNorm and memories take note."""
        share = self.ranks.share(len(self._train))
        x = self._batch(self._train, torch.arange(len(self._train), device=self.device), share)
        judge = self.adversary and self.adversary.judge
        terms = self.trained.train()(x, self._generator(NOISE, 1), share, self.recent, judge, progress=0.0)
        weights = {"distortion": 1.0} if "distortion" in terms else {}
        weights |= self.trained.weights(1.0, x)
        if self.adversary:
            weights["adversarial"] = self.adversary.weight(self.recipe.adversarial.weight, terms, share, self.trained)
        pairs = {name: (terms[name], torch.as_tensor(weight)) for name, weight in weights.items()}
        return {name: (float(value.detach()), float(weight.detach())) for name, (value, weight) in pairs.items()}

    def train_epoch(self) -> dict[str, float]:
        """Train one epoch. Its loss terms are means over images, in nats per image; `train_s` is in seconds.

        Afterwards the model is as it is measured and kept: BatchNorm has the statistics of these weights, which are
        estimated anew (not within `train_s`). Training has no use for them.

        `train_temperature` and whatever else of the posterior changes in training are means over the epoch's steps.

        In a training at two sizes, `train_image_size` is the epoch's (px), at which `images_per_s` are counted.

        Where a discriminator takes part, its terms are means over patches, of the steps in which it does, and
        `train_adversarial_weight` is what the adversarial loss counts for in these, beside the `loss`. Where they
        change, `train_learning_rate` and `train_beta_factor` are means over the epoch's steps, and where gradients are
        clipped so is `train_gradient_norm`, the norm of the VAE's before. `decoder_passes` counts the codes that were
        decoded.

        Raises Diverged before an optimiser steps on a term that is not finite, and when the discriminator has won.
        """
        started, epoch = time.perf_counter(), self.epoch + 1
        noise, flips = self._generator(NOISE, epoch), self._generator(AUGMENTATION, epoch)
        order = torch.randperm(len(self._train), generator=self._generator(ORDER, epoch), device=self.device)
        weight = self.recipe.adversarial.weight_in(epoch) if self.adversary else 0.0
        judged, counted = 0, []
        optimisation = self.recipe.optimisation
        halved = epoch <= optimisation.half_size_epochs
        steps = range(self.epoch * self.steps, epoch * self.steps)
        rates = [optimisation.learning_rate_factor(step, self.steps) for step in steps]
        betas = [optimisation.beta_factor(step, self.steps) for step in steps]
        sums: dict[str, Tensor] = {}
        norms: list[Tensor] = []
        passes: list[int] = []
        decoded = 0
        counting = self.trained.decoder.register_forward_hook(lambda _, given, outputs: passes.append(len(outputs)))
        self.course.start_epoch(epoch)
        self.trained.train()
        batches = [(index, self.ranks.share(len(index))) for index in order.split(optimisation.batch_size)]
        read = ahead(self._train, [index[share.rows] for index, share in batches])
        for step, (index, share), pixels, rate, beta in zip(steps, batches, read, rates, betas, strict=True):
            x = self._mirrored(unit(pixels, self.device), share, flips)
            x = F.avg_pool2d(x, 2) if halved else x
            adversary = self.adversary if weight and step >= self.recipe.adversarial.start_step else None
            with self._autocast(), self.compiled.at_work():
                judge, progress = adversary and adversary.judge, step / (optimisation.epochs * self.steps)
                given = {"share": share, "recent": self.recent, "judge": judge, "beta_factor": beta}
                bound = partial(self.parallel, generator=noise, progress=progress, **given)
                descend = partial(self._descend, share=share, rate=rate)
                parts = {"index": index, "x": x, "share": share, "noise": noise, "progress": progress}
                terms = self.course.terms(Step(bound=bound, descend=descend, **parts))
                if adversary:
                    terms |= adversary.terms(x)
            # Before an optimiser steps: where one rank's loss is not finite, all of them see it and stop.
            means = self._means(terms, share)
            check_finite(means, epoch)
            if adversary:
                judged, each = judged + len(index), adversary.weight(weight, terms, share, self.trained)
                counted.append(each.detach() if isinstance(each, Tensor) else each)
                norms += self._step(self.optimiser, terms["loss"] + each * terms["adversarial"], share, rate)
                self._step(adversary.optimiser, terms["discriminator"], share, rate)
            else:
                norms += self._step(self.optimiser, terms["loss"], share, rate)
            if optimisation.ema is not None:
                self._average(step + 1, optimisation.ema)
            _add(sums, means, len(index))
            # Those of all ranks, each of which has as many for every image.
            decoded += sum(passes) * share.whole // (share.stop - share.start)
            passes.clear()
        self.ranks.unify(self.trained)
        if self.model is not self.trained:
            for mine, other in zip(self.model.buffers(), self.trained.buffers(), strict=True):
                mine.copy_(other)
        counts = dict.fromkeys(JUDGED, judged)
        measured = {f"train_{column(n)}": float(total) / counts.get(n, len(order)) for n, total in sums.items()}
        if judged:
            self.adversary.end_epoch(epoch, measured["train_adversarial"], measured["train_disc_accuracy"])
            measured["train_adversarial_weight"] = exact_mean(map(float, counted))
        if (optimisation.schedule, optimisation.warm_up_epochs) != ("constant", 0):
            measured["train_learning_rate"] = optimisation.learning_rate * fmean(rates)
        if optimisation.half_size_epochs:
            measured["train_image_size"] = self.images.image_size // (1 + halved)
        if optimisation.beta_warm_up_epochs:
            measured["train_beta_factor"] = fmean(betas)
        changing = [self.recipe.posterior.scheduled(step / (optimisation.epochs * self.steps)) for step in steps]
        measured |= {f"train_{name}": fmean(each[name] for each in changing) for name in changing[0]}
        if norms:
            measured["train_gradient_norm"] = float(torch.stack(norms).mean())
        measured |= self.course.end_epoch()
        measured |= {f"likelihood_{name}": value for name, value in self.model.likelihood.shown().items()}
        counting.remove()
        measured["decoder_passes"] = decoded + sum(passes)
        self.epoch = epoch
        seconds = time.perf_counter() - started
        self._estimate_statistics()
        return measured | {"train_s": seconds, "images_per_s": len(order) / seconds}

    def _estimate_statistics(self) -> None:
        if not batch_statistics.normalising(self.model):
            self.model.eval()
            return
        # On every rank of the same images, and not of a share of them: the statistics are those that one process finds.
        index = torch.arange(min(STATISTICS_IMAGES, len(self._train)), device=self.device)
        x = self._batch(self._train, index, Ranks().share(len(index)))
        batch_statistics.estimate(self.model, x, self._generator(STATISTICS, 0))

    def _step(
        self,
        optimiser: torch.optim.Optimizer,
        loss: Tensor,
        share: Share,
        rate: float,
        only: Collection[nn.Parameter] | None = None,
    ) -> list[Tensor]:
        """`rate` is what the learning rate is multiplied by; `only` these parameters move (None: all). The gradient's
        norm, if it is clipped."""
        optimiser.zero_grad(set_to_none=True)
        # Gradients are averaged over ranks as if their shares were equal.
        (loss * (share.weight * self.ranks.size)).backward()
        (group,) = optimiser.param_groups
        if only is not None:
            for parameter in group["params"]:
                if parameter not in only:
                    parameter.grad = None
        group["lr"] = optimiser.defaults["lr"] * rate
        most = self.recipe.optimisation.clip_norm
        norms = [] if most is None else [nn.utils.clip_grad_norm_(group["params"], most)]
        optimiser.step()
        return norms

    def _descend(self, loss: Tensor, parameters: Iterable[nn.Parameter], share: Share, rate: float) -> None:
        """A step of the VAE's optimiser for these of its parameters alone."""
        with torch.autocast(self.device.type, enabled=False):
            self._step(self.optimiser, loss, share, rate, set(parameters))

    @torch.no_grad()
    def _average(self, step: int, decay: float) -> None:
        """Take the weights after a step, counted from 1, into their mean."""
        # Of the weights 1, decay, decay^2, ... of the last steps, the share of the last one.
        share = (1 - decay) / (1 - decay**step)
        for mean, weight in zip(self.model.parameters(), self.trained.parameters(), strict=True):
            mean.lerp_(weight, share)

    def validate(self) -> dict[str, float]:
        """The `losses` on the validation split, their names beginning with "val_"."""
        return {f"val_{name}": value for name, value in self.losses("validation").items()}

    def losses(self, split: str) -> dict[str, float]:
        """Loss terms of the model as the last epoch left it on the images of "validation" or "test", by column, in
        nats per image.

        In float32, whatever the precision of training, and with the same noise in every epoch and for every trial of
        a study. Raises Diverged when one is not finite.
        """
        epoch, found = self._losses.get(split, (None, {}))
        if epoch != self.epoch:
            self._losses[split] = self.epoch, (found := self._measure_losses(split))
        return found

    @torch.no_grad()
    def _measure_losses(self, split: str) -> dict[str, float]:
        images = getattr(self, f"_{split}")
        # Of the evaluation's seed and not of the trial's, so that all trials are compared on the same noise.
        noise = generator(self.device, self.recipe.evaluation.seed, 0, STREAMS[split])
        sums: dict[str, Tensor] = {}
        self.model.eval()
        for index in torch.arange(len(images)).split(SPLIT_CHUNK):
            share = self.ranks.share(len(index))
            means = self._means(self.model(self._batch(images, index, share), noise, share), share)
            check_finite(means, self.epoch)
            _add(sums, means, len(index))
        return {column(name): float(total) / len(images) for name, total in sums.items()}

    def _batch(self, images: Tensor | Stream, index: Tensor, share: Share) -> Tensor:
        """The share of images[index] as float32 (n, c, h, w), of bytes in [0, 1]."""
        return batch(images, index[share.rows], self.device)

    def _mirrored(self, x: Tensor, share: Share, flips: torch.Generator) -> Tensor:
        """The share of a batch, each image mirrored with probability 1/2 where the recipe says so."""
        if not self.recipe.data.horizontal_flip:
            return x
        mirrored = torch.rand(share.whole, 1, 1, 1, generator=flips, device=self.device) < 0.5
        return torch.where(mirrored[share.rows], x.flip(-1), x)

    def _means(self, terms: dict[str, Tensor], share: Share) -> dict[str, Tensor]:
        """The terms' means over the whole batch, on the CPU: not every device has float64, in which they are added."""
        local = torch.stack([value.detach() for value in terms.values()])
        return dict(zip(terms, self.ranks.sum(local * share.weight).cpu(), strict=True))

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def _generator(self, stream: int, epoch: int) -> torch.Generator:
        return generator(self.device, self.recipe.seed, epoch, stream)


@dataclass(frozen=True)
class Split:
    """A split's images by row, as the model is given them and never mirrored (`evae.inference.Rows`)."""

    training: Training
    images: Tensor | Stream

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Tensor) -> Tensor:
        return self.training._batch(self.images, index, Ranks().share(len(index)))


def generator(device: torch.device | str, *key: int) -> torch.Generator:
    """A generator on `device` whose seed is hashed from non-negative integers: another key is another stream."""
    return torch.Generator(device).manual_seed(hashed(*key))


def hashed(*key: int) -> int:
    """A seed hashed from non-negative integers, of which there may be any number."""
    # How many 32-bit words each takes. numpy puts the words of all one after the other and fills up with zeros, so that
    # without these counts (0, 100) would be (0, 100, 0), and (2**32, 1) would be (0, 1, 1). Three words are the keys
    # that have always been, and stay as they were.
    words = tuple(max(1, -(-number.bit_length() // 32)) for number in key)
    sequence = np.random.SeedSequence(key, spawn_key=() if words == (1, 1, 1) else words)
    return int(sequence.generate_state(1, np.uint64)[0] >> 1)


def column(term: str) -> str:
    """A term's name with its unit. Those of a discriminator, squared lengths and criteria are not nats per image."""
    own = term in (*JUDGED, "codes_l2", "decoder_l2") or term in criterion
    return term if own else f"{term}_nats"


def check_finite(terms: dict[str, Tensor], epoch: int) -> None:
    """Raise Diverged for the first term that is not finite. One read back from the device a step."""
    if not torch.isfinite(torch.stack([value.detach() for value in terms.values()])).all():
        for name, value in terms.items():
            if not torch.isfinite(value):
                raise Diverged(epoch, name, float(value.detach()))


def _add(sums: dict[str, Tensor], terms: dict[str, Tensor], count: int) -> None:
    for name, value in terms.items():
        sums[name] = sums.get(name, 0) + value.detach().double() * count
