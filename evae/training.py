"""The one training loop: advances a trial by an epoch and says what it measured.

All randomness of an epoch is derived from (recipe seed, epoch), so a trial restored after epoch e continues with the
numbers it would have had: bit-identical on one CPU with as many threads, and on one GPU with CUDA, whether its steps
are captured or not, but for operations that torch has no deterministic kernel for (docs/images.md).
"""

import copy
import time
from dataclasses import dataclass

import torch
from torch import Tensor

from evae import batch_statistics
from evae.adversary import Adversary
from evae.compiled import Compiled
from evae.data import batch
from evae.data.base import ImageSet
from evae.data.pixels import on_device
from evae.data.stream import Stream
from evae.errors import Diverged
from evae.hardware import repeatable
from evae.macs import arithmetic
from evae.models import VAE, build_model
from evae.networks.layers import recompute
from evae.optimiser import optimiser
from evae.posteriors.base import Recent
from evae.ranks import Ranks, Share
from evae.recipe import Recipe
from evae.stepping import columns
from evae.stepping.epoch import Loop
from evae.streams import DISCRIMINATOR, NOISE, STATISTICS, TEST, VALIDATION, generator, hashed

STREAMS = {"validation": VALIDATION, "test": TEST}
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
    one process, but for what a network takes from its batch: on CPUs, BatchNorm sees a rank's share only.
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
        self.precision = arithmetic(recipe, images.image_size, images.channels, self.device)
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
        self.ranks.synchronise(self.trained)
        self.adversary: Adversary | None = None
        if recipe.adversarial is not None:
            shape, seed = (images.image_size, images.channels), hashed(recipe.seed, 0, DISCRIMINATOR)
            parts = recipe.adversarial, optimisation
            self.adversary = Adversary(*parts, *shape, self.device, self.ranks, seed=seed)
        self.epoch = 0
        heads = recipe.posterior.heads * self.model.latent
        self.recent = Recent(recipe.posterior.memory, torch.zeros(0, heads, device=self.device))
        self.train, self._validation = (
            split if isinstance(split, Stream) else on_device(split, self.device)
            for split in (images.train, images.validation)
        )
        self._test = images.test
        rows = Split(self, self.train), Split(self, self._validation)
        self.course = recipe.inference.begin(self.trained, *rows)
        self.loop = Loop(self)
        self._losses: dict[str, tuple[int, dict[str, float]]] = {}

    @property
    def finished(self) -> bool:
        return self.epoch >= self.recipe.optimisation.epochs

    @property
    def stepped(self) -> str:
        """How its steps are run, and why (`evae.recording.program`)."""
        return self.loop.program.stepped

    def release(self) -> None:
        """Give back what captured steps hold of the device's memory: as much as a step needs, for as long as they may
        be replayed. They are captured anew if it is trained on."""
        self.loop.program.kinds.clear()
        # In the same memory are the latest gradients.
        for learner in (self, self.adversary):
            if learner is not None:
                learner.optimiser.zero_grad()

    def first_terms(self) -> dict[str, tuple[float, float]]:
        """Each term that counts in the loss, on the first training images as one batch, and its full weight, warm-ups
        and later starts done. For a training of which nothing else is asked: BatchNorm and memories take note."""
        share = self.ranks.share(len(self.train))
        x = self._batch(self.train, torch.arange(len(self.train), device=self.device), share)
        judge = self.adversary and self.adversary.judge
        terms = self.trained.train()(x, self.generator(NOISE, 1), share, self.recent, judge, progress=0.0)
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

        In a training at two sizes, `train_image_size` is the epoch's (px, of rectangles the height), at which
        `images_per_s` are counted.

        Where a discriminator takes part, its terms are means over patches, of the steps in which it does, and
        `train_adversarial_weight` is what the adversarial loss counts for in these, beside the `loss`. Where they
        change, `train_learning_rate` and `train_beta_factor` are means over the epoch's steps, and where gradients are
        clipped so is `train_gradient_norm`, the norm of the VAE's before. `decoder_passes` counts the codes that were
        decoded.

        Raises Diverged where a step had a term that is not finite, on which no optimiser moved, and when the
        discriminator has won.
        """
        started, epoch = time.perf_counter(), self.epoch + 1
        steps = self.loop.run(epoch)
        self.ranks.unify(self.trained)
        if self.model is not self.trained:
            for mine, other in zip(self.model.buffers(), self.trained.buffers(), strict=True):
                mine.copy_(other)
        measured = columns.measured(self, steps)
        if "train_adversarial" in measured:
            self.adversary.end_epoch(epoch, measured["train_adversarial"], measured["train_disc_accuracy"])
        measured |= steps.of_course
        measured |= {f"likelihood_{name}": value for name, value in self.model.likelihood.shown().items()}
        measured["decoder_passes"] = steps.decoded
        self.epoch = epoch
        seconds = time.perf_counter() - started
        self._estimate_statistics()
        return measured | {"train_s": seconds, "images_per_s": len(self.train) / seconds}

    def _estimate_statistics(self) -> None:
        if not batch_statistics.normalising(self.model):
            self.model.eval()
            return
        # On every rank of the same images, and not of a share of them: the statistics are those that one process finds.
        index = torch.arange(min(STATISTICS_IMAGES, len(self.train)), device=self.device)
        x = self._batch(self.train, index, Ranks().share(len(index)))
        batch_statistics.estimate(self.model, x, self.generator(STATISTICS, 0))

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
        return {columns.column(name): float(total) / len(images) for name, total in sums.items()}

    def _batch(self, images: Tensor | Stream, index: Tensor, share: Share) -> Tensor:
        """The share of images[index] as float32 (n, c, h, w), of bytes in [0, 1]."""
        return batch(images, index[share.rows], self.device)

    def _means(self, terms: dict[str, Tensor], share: Share) -> dict[str, Tensor]:
        """The terms' means over the whole batch, on the CPU: not every device has float64, in which they are added."""
        local = torch.stack([value.detach() for value in terms.values()])
        return dict(zip(terms, self.ranks.sum(share.part(local)).cpu(), strict=True))

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def generator(self, stream: int, epoch: int) -> torch.Generator:
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


def check_finite(terms: dict[str, Tensor], epoch: int) -> None:
    """Raise Diverged for the first term that is not finite."""
    if not torch.isfinite(torch.stack([value.detach() for value in terms.values()])).all():
        for name, value in terms.items():
            if not torch.isfinite(value):
                raise Diverged(epoch, name, float(value.detach()))


def _add(sums: dict[str, Tensor], terms: dict[str, Tensor], count: int) -> None:
    for name, value in terms.items():
        sums[name] = sums.get(name, 0) + value.detach().double() * count
