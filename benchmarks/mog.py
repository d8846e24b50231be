"""What do MoG-VAE's mixture and its discriminator give, beside a VAE and an EVAE with the same networks?

    python benchmarks/mog.py --kodak FOLDER --data-root FOLDER [--network conv] [--size tiny] [--epochs 10]

Four models, each with every seed, on images of Fashion-MNIST (32 px) and, with `--kodak` (a folder of PNG photos), on
disjoint 64 px patches of the first three quarters of the photos, tested on those of the last quarter: the standard KL
(the official code's own baseline), the mixture without and with the PatchGAN, each with the Laplace likelihood; and the
EVAE (B = 0.1) with its own, Bernoulli's. Networks, latents, batches, optimiser and epochs are the same for all of them.

Reported are means and standard deviations over seeds, on test images: Fréchet distances on EfficientNet-Lite0 (b10) of
reconstructions and of samples, their sharpness, PSNR, active units, and the CPU seconds of an epoch on one thread,
discriminator included (on a GPU: seconds).
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
import torch
from _record import table, write_result
from taps import patches

from evae.adversarial import Adversarial
from evae.data import load
from evae.data.base import DataRecipe, ImageSet, content_digest
from evae.evaluation import evaluate
from evae.likelihoods import Bernoulli, Laplace, Likelihood
from evae.metrics.features import Features, load_features
from evae.metrics.reference import Reference, reference
from evae.networks import SIZES, PatchGan
from evae.networks import network as networks
from evae.posteriors import Evae, Gaussian, Mixture, Posterior
from evae.recipe import Optimisation, Recipe
from evae.training import Diverged, Training

MODELS: dict[str, tuple[Posterior, Likelihood, bool]] = {
    "VAE (standard KL)": (Gaussian(), Laplace(), False),
    "MoG": (Mixture(), Laplace(), False),
    "MoG + PatchGAN": (Mixture(), Laplace(), True),
    "EVAE (B = 0.1)": (Evae(), Bernoulli(), False),
}
COLUMNS = {
    "rec distance": "rec_fd_efficientnet_lite0_b10",
    "gen distance": "gen_fd_efficientnet_lite0_b10",
    "rec sharpness": "rec_sharpness",
    "gen sharpness": "gen_sharpness",
    "PSNR, dB": "rec_psnr_db",
    "active units": "active_units",
    "s / epoch": "seconds",
}
PATCHES_PER_PHOTO = 96  # 64 px, of 768 x 512


def photos(folder: Path, count: int) -> ImageSet:
    """At most `count` training patches, evenly spread; those of the last quarter of the photos are for the test."""
    tiles = patches(folder, 64).mul(255).round().byte().numpy()
    cut = len(tiles) // PATCHES_PER_PHOTO * 3 // 4 * PATCHES_PER_PHOTO
    train, test = tiles[: cut : max(1, cut // count)], tiles[cut:]
    splits = tuple(np.ascontiguousarray(split) for split in (train, test, test))
    return ImageSet(*splits, "kodak", content_digest(splits), "resize", ())


def measure(recipe: Recipe, images: ImageSet, features: Features, real: Reference, device: str) -> dict[str, float]:
    """The test metrics after the last epoch, and `seconds` an epoch."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    training, started = Training(recipe, images, device), clock()
    while not training.finished:
        training.train_epoch()
    seconds = (clock() - started) / recipe.optimisation.epochs
    return evaluate(training, features, {"test": real}).metrics | {"seconds": seconds}


def row(data: str, model: str, found: Sequence[dict[str, float]], lost: int) -> dict[str, str]:
    """Means and standard deviations over seeds."""
    cells = {"data": data, "model": model}
    for label, name in COLUMNS.items():
        values = [each[name] for each in found]
        spread = f" ({stdev(values):.2g})" if len(values) > 1 else ""
        cells[label] = f"{fmean(values):.4g}{spread}" if values else "-"
    return cells | {"seeds": f"{len(found)}{f', {lost} diverged' if lost else ''}"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kodak", type=Path, help="folder of PNG photos of 768 x 512 px")
    parser.add_argument("--data-root", type=Path, help="folder that holds Fashion-MNIST, or gets it")
    parser.add_argument("--train-images", type=int, nargs=2, default=[2000, 864], help="of Fashion-MNIST, of Kodak")
    parser.add_argument("--network", choices=networks, default="conv")
    parser.add_argument("--size", choices=SIZES, default="tiny")
    parser.add_argument("--latent", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=20)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    given = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_num_threads(1)
    features = load_features(device=device)
    fashion = DataRecipe(source="fashion-mnist", image_size=32, train_images=given.train_images[0], test_images=500)
    data = {"Fashion-MNIST, 32 px": load(fashion, given.data_root)}
    if given.kodak:
        data["Kodak, 64 px"] = photos(given.kodak, given.train_images[1])
    network = networks[given.network](width=SIZES[given.size])
    adversarial = Adversarial(discriminator=PatchGan(width=SIZES[given.size] / 2))
    rows, notes = [], []
    for name, images in data.items():
        real = reference(images.test, images.train, features)
        notes.append(
            f"{name}: {len(images.train)} training and {len(images.test)} test images, whose sharpness is "
            f"{real.sharpness:.4g}; two sets of real images are {real.floor:.4g} apart."
        )
        for label, (posterior, likelihood, judged) in MODELS.items():
            found: list[dict[str, float]] = []
            for seed in given.seeds:
                recipe = Recipe(
                    posterior=posterior,
                    likelihood=likelihood,
                    network=network,
                    adversarial=adversarial if judged else None,
                    latent=given.latent,
                    optimisation=Optimisation(
                        learning_rate=given.learning_rate,
                        batch_size=given.batch_size,
                        epochs=given.epochs,
                        beta1=0.5,
                    ),
                    seed=seed,
                )
                try:
                    found.append(measure(recipe, images, features, real, device))
                except Diverged as error:
                    print(f"{name}, {label}, seed {seed}: {error}", flush=True)
            rows.append(row(name, label, found, len(given.seeds) - len(found)))
            print(rows[-1], flush=True)
    setting = (
        f"{given.network} networks of size {given.size}, {given.latent} latents, {given.epochs} epochs in batches of "
        f"{given.batch_size}, Adam at {given.learning_rate:g}. Means, and standard deviations over seeds in brackets. "
        "Columns: see the benchmark's docstring."
    )
    write_result("mog", "Mixture and discriminator", "\n\n".join([setting, *notes, table(rows)]))


if __name__ == "__main__":
    main()
