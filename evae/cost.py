"""What a model costs: parameters and multiplications, which its recipe says, and speed and memory, which are measured.

`exact` needs no training. `measured` does its work on the side: neither the trained model nor the random numbers of its
training are touched.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from statistics import median

import torch
from torch import nn

from evae.data import batch
from evae.errors import Diverged
from evae.live_tensors import LiveTensors
from evae.macs import macs, untrained
from evae.metrics.cost import BATCH
from evae.models import VAE
from evae.recipe import Recipe
from evae.sizes import ImageSize
from evae.training import Training

REPEATS, FEWEST, ENOUGH_S = 9, 3, 0.3
"""A speed is of the median of so many repeats; of fewer, but no fewer than `FEWEST`, once they have taken so long."""
MEGABYTE = 1e6


def exact(
    recipe: Recipe, image_size: ImageSize, channels: int, names: Collection[str] | None = None
) -> dict[str, float]:
    """What is known of a recipe's model before it is trained, by column: numbers of `parameters`, in all, of the
    encoder and of the decoder, and multiply-accumulates per image of an encoding and a decoding (`encoder_macs`,
    `decoder_macs`: convolutions, matrix products and attention). Without memory or arithmetic: on torch's meta device.

    With `names`, multiplications are left out where none of them is asked for.
    """
    found = parameters(untrained(recipe, image_size, channels))
    if names is None or any(name.endswith("_macs") for name in names):
        found |= macs(recipe, image_size, channels)
    return found


def parameters(model: VAE) -> dict[str, float]:
    """Numbers of parameters by column."""
    parts = {"": model, "encoder_": model.encoder, "decoder_": model.decoder}
    return {f"{part}parameters": float(sum(p.numel() for p in of.parameters())) for part, of in parts.items()}


def measured(training: Training) -> dict[str, float | str]:
    """The costs of a trained model on its device, by column: those of `exact`; `encode_images_per_s`,
    `decode_images_per_s` of batches of `BATCH` images in float32, and `step_images_per_s` of a training step with the
    recipe's batch, its criteria, discriminator and averages as in the last epoch, each by the median of some repeats;
    and the peak memory of an encoding and of a step, `encode_memory_mb` and `step_memory_mb` (10^6 bytes).

    Memory is that of weights, images, gradients, the optimiser's state and all that is live at the peak. `memory_is`
    says who counted: "allocator", torch's of a GPU, with what convolutions take for themselves; or "live tensors",
    without that (`evae.live_tensors`). Where several processes train one model, each does its share of a step, and the
    slowest and the largest count. A step that diverges has no speed and no memory: NaN.
    """
    model, images, device = training.model, training.images, training.device
    found: dict[str, float | str] = dict(parameters(model))
    found |= macs(training.recipe, images.image_size, images.channels)
    found["memory_is"] = "allocator" if device.type == "cuda" else "live tensors"
    x = batch(images.test, torch.arange(BATCH) % len(images.test), device)
    model.eval()
    with torch.no_grad():
        own = _bytes(model.encoder) + x.nbytes
        numbers = {"encode_memory_mb": (own + _peak(lambda: model.encode(x), device)) / MEGABYTE}
        codes = model.posterior.mean(model.encode(x))
        for name, work in (("encode", lambda: model.encode(x)), ("decode", lambda: model.decode(codes))):
            numbers[f"{name}_images_per_s"] = len(x) / _seconds(work, device)
    try:
        numbers |= _step(training)
    except Diverged:
        numbers |= {"step_images_per_s": math.nan, "step_memory_mb": math.nan}
    return found | _over_ranks(training, numbers)


@torch.enable_grad()
def _step(training: Training) -> dict[str, float]:
    """Speed and memory of a step of the last epoch, in a training of one step an epoch on this process's share."""
    recipe, images = training.recipe, training.images
    size = -(-recipe.optimisation.batch_size // training.ranks.size)
    few = images.train[: max(size, recipe.posterior.memory)]
    recipe = replace(recipe, optimisation=replace(recipe.optimisation, batch_size=min(size, len(few))))
    if recipe.adversarial is not None:
        recipe = replace(recipe, adversarial=recipe.adversarial.at_once())
    images, how = replace(images, train=few, validation=few[:1], test=few[:1]), training.recomputes
    side = Training(recipe, images, training.device, recomputes=how)
    side.trained.load_state_dict(copy.deepcopy(training.trained.state_dict()))
    modules = {id(module): module for module in (side.trained, side.model)}
    if side.adversary is not None:
        modules[0] = side.adversary.module
    own = sum(map(_bytes, modules.values()))

    def epoch() -> float:
        side.epoch = recipe.optimisation.epochs - 1
        return float(side.train_epoch()["train_s"])

    # The first one, which is not timed, also makes the optimiser's state.
    memory = own + _peak(epoch, training.device)
    seconds: list[float] = []
    while len(seconds) < REPEATS and (len(seconds) < FEWEST or sum(seconds) < ENOUGH_S):
        seconds.append(epoch())
    side.release()
    return {"step_images_per_s": len(few) / median(seconds), "step_memory_mb": memory / MEGABYTE}


def _peak(work: Callable[[], object], device: torch.device) -> int:
    """The most bytes that `work` has live at once, beside what was there before."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        work()
        return torch.cuda.max_memory_allocated(device) - before
    with LiveTensors() as live:
        work()
    return live.peak


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    """The median of some repeats, after one that is not timed."""
    work()
    seconds: list[float] = []
    while len(seconds) < REPEATS and (len(seconds) < FEWEST or sum(seconds) < ENOUGH_S):
        _wait(device)
        clock = time.perf_counter()
        work()
        _wait(device)
        seconds.append(time.perf_counter() - clock)
    return median(seconds)


def _wait(device: torch.device) -> None:
    if device.type != "cpu":
        getattr(torch, device.type).synchronize()


def _bytes(module: nn.Module) -> int:
    return sum(part.nbytes for part in (*module.parameters(), *module.buffers()))


def _over_ranks(training: Training, numbers: dict[str, float]) -> dict[str, float]:
    """Of all processes the slowest and the largest; of a step's images those of all."""
    ranks = training.ranks
    if ranks.size == 1:
        return numbers
    each = torch.zeros(ranks.size, len(numbers), dtype=torch.float32)
    each[ranks.rank] = torch.tensor(list(numbers.values()))
    every = ranks.sum(each.to(training.device)).cpu().double()
    worst = {
        name: float(column.max() if name.endswith("_mb") else column.min())
        for name, column in zip(numbers, every.T, strict=True)
    }
    worst["step_images_per_s"] *= ranks.size
    return worst
