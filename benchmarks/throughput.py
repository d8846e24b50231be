"""Does the training loop cost anything? Its epochs against a bare PyTorch loop over the same networks.

    python benchmarks/throughput.py

Both train the same networks from the same weights on the same images, batches and precision, one thread, and take
turns epoch by epoch (ours, bare, ours, bare, ...), so that a busy machine slows both alike. The bare loop is what a
researcher would write: float images made once, randperm, autocast where the precision asks for it, the loss written
out, fused Adam, and the sum of the losses. It checks nothing and reports one number.

A pair is one epoch of each; the ratio of a pair is ours over bare in images per second, and the result the median
over pairs. Expected: at least 0.97. A minute and a half on one core.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median

import torch
import torch.nn.functional as F
from _record import table, write_result

from evae.data import DataRecipe, load, tensor
from evae.data.base import ImageSet
from evae.models import build_model
from evae.networks import SIZES, Conv
from evae.posteriors.gaussian import Gaussian
from evae.recipe import Optimisation, Recipe
from evae.training import Training

Epoch = Callable[[], object]


def bare_loop(recipe: Recipe, images: ImageSet, device: str, precision: str) -> Epoch:
    """A function that trains one epoch the plain way and returns its mean loss."""
    model = build_model(
        recipe.posterior, recipe.network, images.image_size, images.channels, recipe.latent, seed=recipe.seed
    ).to(device)
    encoder, decoder = model.encoder.train(), model.decoder.train()
    optimiser = torch.optim.Adam(model.parameters(), lr=recipe.optimisation.learning_rate, fused=True)
    data = tensor(images.train).to(device).float() / 255
    batch_size = recipe.optimisation.batch_size

    def epoch() -> float:
        total = 0.0
        order = torch.randperm(len(data), device=device)
        for i in range(0, len(data), batch_size):
            x = data[order[i : i + batch_size]]
            optimiser.zero_grad()
            with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
                mu, log_variance = encoder(x).float().chunk(2, dim=-1)
                z = mu + torch.exp(0.5 * log_variance) * torch.randn_like(mu)
                logits = decoder(z).float()
            distortion = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
            rate = 0.5 * (mu**2 + log_variance.exp() - 1 - log_variance).sum()
            loss = (distortion + rate) / len(x)
            loss.backward()
            optimiser.step()
            total += loss.item() * len(x)
        return total / len(data)

    return epoch


def timed(epoch: Epoch) -> tuple[float, float]:
    """Seconds of the wall and of this process's CPU. Both loops end by reading a number back from the device."""
    wall, cpu = time.perf_counter(), time.process_time()
    epoch()
    return time.perf_counter() - wall, time.process_time() - cpu


def compare(size: str, given: argparse.Namespace, images: ImageSet) -> dict[str, str]:
    recipe = Recipe(
        posterior=Gaussian(), network=Conv(width=SIZES[size]), optimisation=Optimisation(precision=given.precision)
    )
    training = Training(recipe, images, given.device)
    ours, bare = training.train_epoch, bare_loop(recipe, images, given.device, training.precision)
    timed(ours), timed(bare)
    pairs = []
    for turn in range(given.pairs):
        # Who goes first alternates as well: a slow minute that begins between two epochs must not favour one.
        first, second = (ours, bare) if turn % 2 == 0 else (bare, ours)
        a, b = timed(first), timed(second)
        pairs.append((a, b) if turn % 2 == 0 else (b, a))
    count = len(images.train)
    ratios = sorted(b[0] / a[0] for a, b in pairs)
    return {
        "network": size,
        "precision": training.precision,
        "ours, images/s": f"{count / median(a[0] for a, _ in pairs):.0f}",
        "bare, images/s": f"{count / median(b[0] for _, b in pairs):.0f}",
        "ratio": f"**{median(ratios):.3f}**",
        "ratios of pairs": f"{ratios[0]:.3f} to {ratios[-1]:.3f}",
        "ratio by CPU time": f"{median(b[1] / a[1] for a, b in pairs):.3f}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=["tiny", "paper"], choices=SIZES, help="of the networks")
    parser.add_argument("--pairs", type=int, default=9, help="epochs of each loop")
    parser.add_argument("--images", type=int, default=2000, help="of mnist-5k in an epoch")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--precision", default="auto", choices=["auto", "fp32", "bf16"])
    given = parser.parse_args()
    torch.set_num_threads(1)
    images = load(DataRecipe(source="mnist-5k", image_size=32, channels=1, train_images=given.images))
    rows = [compare(size, given, images) for size in given.sizes]
    text = table(rows) + (
        f"\nMedians over {given.pairs} pairs of epochs of {len(images.train)} grey images of 32 px (mnist-5k), batches "
        f"of 100, one thread, on the {given.device}. The ratio is the median over pairs of ours / bare in images per "
        "second; by CPU time it hardly depends on what else the machine does.\n"
    )
    write_result("throughput" + ("-cuda" if given.device == "cuda" else ""), "Training loop against a bare one", text)


if __name__ == "__main__":
    main()
