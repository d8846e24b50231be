"""Arithmetic, layout and compiled networks: what a captured step of one trial gains, for benchmarks/gpu.py."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import torch
from _page import Page
from _rates import Setting, rate

from evae.adversarial import Adversarial
from evae.data.base import ImageSet
from evae.likelihoods import Laplace
from evae.macs import macs
from evae.networks import ResNetV2
from evae.posteriors import Mixture
from evae.recipe import Optimisation, Recipe
from evae.training import Training

OFFICIAL = "mog"
"""The official MoG-VAE, discriminator included (`evae.networks.resnet_v2`, `evae.adversarial`)."""
BATCHES = {OFFICIAL: (10,)}
WAYS = [
    (precision, layout, compiled)
    for compiled, precision, layout in product((False, True), ("fp32", "bf16"), ("last", "first"))
]
"""Compiled ones at the end of each: they take half a minute before their first step."""


def networks(gpu: bool) -> tuple[str, ...]:
    """What is measured where nothing is said."""
    return ("small", "paper", OFFICIAL) if gpu else ("tiny",)


def official() -> tuple[Recipe, ImageSet]:
    """It, and images of noise for it: of what is on them no step's time depends."""
    pixels = np.random.default_rng(0).integers(0, 256, (100, 3, 256, 256), np.uint8)
    images = ImageSet(pixels, pixels[:10], pixels[:10], "noise", "", "resize", ())
    optimisation = Optimisation(learning_rate=1e-4, beta1=0.5, epochs=1000)
    parts = {"likelihood": Laplace(), "network": ResNetV2(), "adversarial": Adversarial(), "latent": 512}
    return Recipe(posterior=Mixture(), optimisation=optimisation, **parts), images


def cases(setting: Setting, names: Sequence[str]) -> Iterator[tuple[str, Recipe, ImageSet]]:
    """Networks and batches, with a name for each."""
    for name in names:
        recipe, images = official() if name == OFFICIAL else (setting.recipe(name), setting.images)
        for size in BATCHES.get(name, (64, 512) if setting.gpu else (64,)):
            optimisation = replace(recipe.optimisation, batch_size=size)
            yield f"{name}, batches of {size}", replace(recipe, optimisation=optimisation), images


def precision(page: Page, setting: Setting, names: Sequence[str]) -> None:
    """A table of networks and batches by arithmetic, layout and whether they are compiled."""
    heads = [
        " ".join(filter(None, (how, f"channels {layout}", compiled and "compiled"))) for how, layout, compiled in WAYS
    ]
    columns = {"10^9 MACs": "{:.3f}"} | dict.fromkeys(heads, "{:,.0f}")
    found = page.table("networks", columns, "Images per second of one trial:")
    for name, recipe, images in cases(setting, names):
        counted = sum(macs(recipe, images.image_size, images.channels).values()) / 1e9
        found.take(name, lambda counted=counted: {"10^9 MACs": counted})
        for head, way in zip(heads, WAYS, strict=True):
            given = setting.device, recipe, images, *way
            found.take(name, lambda head=head, given=given: {head: captured(*given)}, of=head)
            setting.forget()


def captured(
    device: torch.device, recipe: Recipe, images: ImageSet, precision: str, layout: str, compiled: bool
) -> float:
    """Images per second of one trial, as it is trained by default but for these."""
    optimisation = replace(recipe.optimisation, precision=precision, compiled=compiled)
    training = Training(replace(recipe, optimisation=optimisation), images, device)
    adversary = [training.adversary.module] if training.adversary else []
    for module in (training.trained, *adversary) if layout == "first" else ():
        module.to(memory_format=torch.contiguous_format)
    found = rate(len(images.train), lambda: training.train_epoch()["train_s"])
    if device.type == "cuda" and training.stepped != "captured":
        raise RuntimeError(training.stepped)
    return found
