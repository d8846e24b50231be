"""Are LiteVAE's encoders faster than Stable Diffusion's, and does our training step cost more than diffusers'?

    python benchmarks/tokenizers.py
    python benchmarks/tokenizers.py --device cuda --image-size 256 --batch-size 32 --width 1 --precision bf16

The first table: encoders of the paper's sizes S to L on the same images, without gradients. In each round all have a
turn, so that a busy machine slows all alike; the ratio to the Stable Diffusion VAE is taken within a round, and the
result is the median over rounds. LiteVAE's paper (arXiv 2405.14477, table 3) gives 384 / 129 / 42.2 / 41.6 images/s for
S to L against 68, and 1324 / 3155 / 12130 / 12130 MB against 8860, with batches of 32 on an RTX 6000. Its ratios stand
beside ours; it does not say at which image size, nor whether with gradients.

The second: epochs of our training against a bare loop around diffusers' AutoencoderKL, with the same architecture,
loss, images and batches, which take turns too. Expected: at least 0.97. Four minutes on one core, seconds on a GPU.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median

import torch
from _record import table, write_result

from evae.data import DataRecipe, batch, load, tensor
from evae.data.base import ImageSet
from evae.likelihoods import Laplace
from evae.live_tensors import LiveTensors
from evae.networks import LiteVae, SdVae
from evae.posteriors.gaussian import Gaussian
from evae.recipe import Optimisation, Recipe
from evae.training import Training

LATENT = 4
BASELINE = "SD-VAE"
PAPER = {"SD-VAE": (68, 8860), "S": (384, 1324), "B": (129, 3155), "M": (42.2, 12130), "L": (41.6, 12130)}
"""Images a second and MB, LiteVAE's table 3."""
STEPS = 4
"""Of an epoch of training."""


def seconds(work: Callable[[], object], device: torch.device) -> tuple[float, float]:
    """Of the wall, until the device is done, and of this process's CPU."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - wall, time.process_time() - cpu


def peak_mb(work: Callable[[], object], device: torch.device) -> float:
    """The most that `work` holds at once, beside what was there before."""
    if device.type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        work()
        return (torch.cuda.max_memory_allocated(device) - before) / 1e6
    with LiveTensors() as live:
        work()
    return live.peak / 1e6


@torch.no_grad()
def encoders(given: argparse.Namespace, images: ImageSet, device: torch.device) -> list[dict[str, str]]:
    networks = {BASELINE: SdVae()} | {size: LiteVae(size=size) for size in "SBML"}
    x = batch(images.train, slice(given.batch_size), device)
    built = {name: one.build(images.image_size, 3, LATENT, 2)[0].to(device).eval() for name, one in networks.items()}
    for encoder in built.values():
        encoder.to(memory_format=torch.channels_last)
        encoder(x)
    taken: dict[str, list[float]] = {name: [] for name in built}
    for turn in range(given.rounds):
        order = list(built) if turn % 2 == 0 else list(reversed(built))
        for name in order:
            taken[name].append(seconds(lambda name=name: built[name](x), device)[0])
    rows, memory = [], {}
    for name, encoder in built.items():
        weights = sum(p.nbytes for p in encoder.parameters()) / 1e6
        memory[name] = weights + peak_mb(lambda encoder=encoder: encoder(x), device)
        ratios = sorted(base / own for base, own in zip(taken[BASELINE], taken[name], strict=True))
        theirs = PAPER[name][0] / PAPER[BASELINE][0], PAPER[name][1] / PAPER[BASELINE][1]
        rows.append(
            {
                "encoder": name if name == BASELINE else f"LiteVAE-{name}",
                "parameters, 10^6": f"{sum(p.numel() for p in encoder.parameters()) / 1e6:.2f}",
                "images/s": f"{len(x) / median(taken[name]):.1f}",
                "times the SD-VAE": f"**{median(ratios):.2f}**",
                "rounds": f"{ratios[0]:.2f} to {ratios[-1]:.2f}",
                "paper": f"{theirs[0]:.2f}",
                "memory, MB": f"{memory[name]:.0f}",
                "of the SD-VAE": f"**{memory[name] / memory[BASELINE]:.2f}**",
                "paper ": f"{theirs[1]:.2f}",
            }
        )
    return rows


def bare(recipe: Recipe, images: ImageSet, device: torch.device, precision: str) -> Callable[[], object]:
    """An epoch of diffusers' own modules, written down the plain way."""
    from diffusers import AutoencoderKL

    channels = images.channels
    model = AutoencoderKL(**recipe.network.autoencoder_kl(channels, LATENT)).to(device).train()
    optimiser = torch.optim.Adam(model.parameters(), lr=recipe.optimisation.learning_rate, fused=True)
    data = tensor(images.train).to(device).float() / 127.5 - 1
    size, weight = recipe.optimisation.batch_size, recipe.likelihood.weight

    def epoch() -> float:
        total, order = 0.0, torch.randperm(len(data), device=device)
        for index in order.split(size):
            x = data[index]
            optimiser.zero_grad()
            with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
                codes = model.encode(x).latent_dist
                made = model.decode(codes.sample()).sample
            loss = weight * (made.float() - x).abs().mean() + codes.kl().mean()
            loss.backward()
            optimiser.step()
            total += loss.item() * len(x)
        return total / len(data)

    return epoch


def steps(given: argparse.Namespace, images: ImageSet, device: torch.device) -> dict[str, str]:
    recipe = Recipe(
        posterior=Gaussian(),
        likelihood=Laplace(),
        network=SdVae(width=given.width, decoder_width=given.width),
        latent=LATENT,
        optimisation=Optimisation(batch_size=given.batch_size, precision=given.precision, learning_rate=1e-4),
    )
    training = Training(recipe, images, device)
    loops = training.train_epoch, bare(recipe, images, device, training.precision)
    for loop in loops:
        seconds(loop, device)
    pairs = []
    for turn in range(given.rounds):
        order = (0, 1) if turn % 2 == 0 else (1, 0)
        taken = {which: seconds(loops[which], device) for which in order}
        pairs.append((taken[0], taken[1]))
    ratios = sorted(theirs[0] / ours[0] for ours, theirs in pairs)
    return {
        "width": f"{given.width:g}",
        "precision": training.precision,
        "ours, images/s": f"{len(images.train) / median(ours[0] for ours, _ in pairs):.2f}",
        "diffusers, images/s": f"{len(images.train) / median(theirs[0] for _, theirs in pairs):.2f}",
        "ratio": f"**{median(ratios):.3f}**",
        "ratios of pairs": f"{ratios[0]:.3f} to {ratios[-1]:.3f}",
        "ratio by CPU time": f"{median(theirs[1] / ours[1] for ours, theirs in pairs):.3f}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=7, help="of each table")
    parser.add_argument("--width", type=float, default=0.25, help="of the networks that are trained")
    parser.add_argument("--precision", default="fp32", choices=["auto", "fp32", "bf16"], help="of the training")
    parser.add_argument("--note", default="", help="what else is to be said of the machine")
    given = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device(given.device)
    size = {"image_size": given.image_size, "channels": 3}
    images = load(DataRecipe(source="photos", train_images=STEPS * given.batch_size, **size))
    on_cpu = given.device == "cpu"
    text = f"""## Encoders

{table(encoders(given, images, device))}
Images of 3 x {given.image_size} x {given.image_size}, batches of {given.batch_size}, fp32, without gradients, on the
{given.device}{", one thread" if on_cpu else ""}; medians over {given.rounds} rounds, in each of which all have a turn.
Memory is that of weights and of all tensors at the
peak{", without what convolutions take for themselves" if on_cpu else ""}. The paper: batches of 32 on an RTX 6000, at a
size that it does not say (table 3).

## A step of training, against diffusers' AutoencoderKL in a bare loop

{table([steps(given, images, device)])}
Medians over {given.rounds} pairs of epochs of {STEPS} steps: the same architecture (kl-f8), images, batches, loss
(absolute errors and KL divergence) and optimiser. {given.note}
"""
    name = "tokenizers" + ("-cuda" if given.device == "cuda" else "")
    write_result(name, "LiteVAE's encoders against the SD-VAE's, and a step of training against diffusers'", text)


if __name__ == "__main__":
    main()
