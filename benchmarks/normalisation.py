"""Which normalisation of the residual networks trains best?

    python benchmarks/normalisation.py [--kodak FOLDER] [--epochs 4] [--rates 1e-3] [--seeds 0 1]

The networks of `ResNetV2` at an eighth of their width, as a VAE with the exact Gaussian rate (beta 1), Bernoulli
likelihood and 32 latents, in fp32 and batches of 20, once with each normalisation: 1,000 digits (`mnist-5k`, 32 px),
and with `--kodak` (a folder of PNGs) every third of the disjoint 64 px patches of photos, those of the last quarter of
the photos for validation. Compared by the loss on validation images after the last epoch, in nats per image; less is
better. Rows with "torch's weights" have torch's initial weights in place of Glorot's; "without LayerNorm" takes the
images as they are.

A loss that is not finite is shown as "diverged".
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from _record import table, write_result
from taps import patches
from torch import nn

from evae.data import load
from evae.data.base import DataRecipe, ImageSet, content_digest
from evae.networks import ResNetV2
from evae.posteriors import Gaussian
from evae.recipe import Optimisation, Recipe
from evae.training import Diverged, Training

PATCHES_PER_PHOTO = 96  # 64 px, of 768 x 512


@dataclass(frozen=True, kw_only=True)
class Bare(ResNetV2):
    """Without the LayerNorm on the images."""

    family: ClassVar[str] = "bare"

    def build(self, *shape: int, **more: int) -> tuple[nn.Module, nn.Module]:
        encoder, decoder = super().build(*shape, **more)
        return nn.Sequential(*(layer for layer in encoder if not isinstance(layer, nn.LayerNorm))), decoder


@dataclass(frozen=True, kw_only=True)
class TorchWeights(ResNetV2):
    """With torch's initial weights."""

    family: ClassVar[str] = "torch_weights"

    def build(self, *shape: int, **more: int) -> tuple[nn.Module, nn.Module]:
        parts = super().build(*shape, **more)
        for part in parts:
            part.apply(lambda layer: layer.reset_parameters() if hasattr(layer, "reset_parameters") else None)
        return parts


NETWORKS: dict[str, Callable[[], ResNetV2]] = {
    "batch": lambda: ResNetV2(width=1 / 8, normalisation="batch"),
    "group": lambda: ResNetV2(width=1 / 8, normalisation="group"),
    "affine": lambda: ResNetV2(width=1 / 8, normalisation="affine"),
    "affine, torch's weights": lambda: TorchWeights(width=1 / 8, normalisation="affine"),
    "group, torch's weights": lambda: TorchWeights(width=1 / 8, normalisation="group"),
    "group, without LayerNorm": lambda: Bare(width=1 / 8, normalisation="group"),
}


def photos(folder: Path) -> ImageSet:
    """Patches of 64 px; those of the last quarter of the photos are for validation."""
    tiles = patches(folder, 64).mul(255).round().byte().numpy()
    cut = len(tiles) // PATCHES_PER_PHOTO * 3 // 4 * PATCHES_PER_PHOTO
    splits = tuple(np.ascontiguousarray(split) for split in (tiles[:cut:3], tiles[cut::3], tiles[cut::3]))
    return ImageSet(*splits, "kodak-64", content_digest(splits), "resize", ())


def loss(images: ImageSet, network: ResNetV2, rate: float, seed: int, epochs: int) -> float | None:
    """The loss on the validation images after the last epoch; None where it diverged."""
    optimisation = Optimisation(learning_rate=rate, batch_size=20, epochs=epochs, precision="fp32")
    recipe = Recipe(posterior=Gaussian(), network=network, latent=32, optimisation=optimisation, seed=seed)
    training = Training(recipe, images)
    try:
        while not training.finished:
            training.train_epoch()
        return training.validate()["val_loss_nats"]
    except Diverged:
        return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kodak", type=Path, help="folder of PNG photos of 768 x 512 px")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rates", type=float, nargs="+", default=[1e-3], help="learning rates")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    given = parser.parse_args()
    torch.set_num_threads(1)
    data = {"mnist-5k 32 px": load(DataRecipe(train_images=1000, image_size=32))}
    if given.kodak:
        data["kodak 64 px"] = photos(given.kodak)
    rows = []
    for name, images in data.items():
        for label, network in NETWORKS.items():
            for rate in given.rates:
                row = {"data": name, "normalisation": label, "learning rate": f"{rate:g}"}
                for seed in given.seeds:
                    value = loss(images, network(), rate, seed, given.epochs)
                    row[f"seed {seed}"] = "diverged" if value is None else f"{value:.1f}"
                print(row, flush=True)
                rows.append(row)
    setting = f"{given.epochs} epochs; validation loss in nats per image. Rows: see the benchmark's docstring."
    write_result("normalisation", "Normalisation of the residual networks", f"{setting}\n\n{table(rows)}")


if __name__ == "__main__":
    main()
