"""What does it cost to read images from their files while training, against images in memory?

    python benchmarks/streaming.py

The same pictures, scikit-learn's sample photos cut into squares with a little noise, are written as JPEG files, as PNG
files and as shards of JPEG files. Trainings on memory and on each of these take turns epoch by epoch, so that a busy
machine slows all alike; the ratio of a turn is that of its images per second, and the result the median over turns.
All train on the same numbers, which is checked. Reading alone is timed too, in as many threads as trials have cores.

A minute or two on two cores. Expected: where a step takes longer than reading its batch, nothing but the cores that
read; where both share one core, a share of 1 / (1 + training speed / reading speed).
"""

import argparse
import io
import tarfile
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch
from _record import table, write_result
from PIL import Image

from evae.data import DataRecipe, ImageSet, load
from evae.networks import SIZES, Conv
from evae.posteriors.gaussian import Gaussian
from evae.recipe import Optimisation, Recipe
from evae.training import Training

KINDS = {"JPEG files": ("folder", "JPEG"), "PNG files": ("folder", "PNG"), "shards of JPEG": ("shards", "JPEG")}


def write(folder: Path, kind: str, form: str, count: int, side: int) -> None:
    """So many squares of twice the images' side."""
    from sklearn.datasets import load_sample_images

    photos, draw = load_sample_images().images, np.random.default_rng(0)
    folder.mkdir()
    for number in range(count):
        photo = photos[number % 2]
        top, left = (int(draw.integers(0, extent - side)) for extent in photo.shape[:2])
        noisy = photo[top : top + side, left : left + side] + draw.normal(0, 3, (side, side, 3))
        picture, name = Image.fromarray(noisy.clip(0, 255).astype(np.uint8)), f"{number:05}.{form.lower()}"
        if kind == "folder":
            picture.save(folder / name, form)
            continue
        content = io.BytesIO()
        picture.save(content, form)
        entry = tarfile.TarInfo(name)
        entry.size = len(content.getvalue())
        with tarfile.open(folder / f"{number % 4}.tar", "a") as archive:
            archive.addfile(entry, io.BytesIO(content.getvalue()))


def reading(images: ImageSet, threads: int) -> float:
    """Images per second of the training split, once over."""
    clock = time.perf_counter()
    for first in range(0, len(images.train), 100):
        images.train.part(slice(first, first + 100)).read(threads)
    return len(images.train) / (time.perf_counter() - clock)


def compare(name: str, given: argparse.Namespace, folder: Path) -> dict[str, str]:
    kind, form = KINDS[name]
    write(folder / name, kind, form, given.images, 2 * given.image_size)
    data = DataRecipe(source=f"{kind}:{folder / name}", image_size=given.image_size, validation_images=16)
    memory, stream = (load(data, stream=how) for how in ("never", "always"))
    recipe = Recipe(
        posterior=Gaussian(), network=Conv(width=SIZES[given.size]), optimisation=Optimisation(epochs=given.turns + 1)
    )
    trainings = {"memory": Training(recipe, memory), "stream": Training(recipe, stream)}
    speeds: dict[str, list[float]] = {side: [] for side in trainings}
    for turn in range(given.turns + 1):
        losses = set()
        for side, training in trainings.items():
            row = training.train_epoch()
            losses.add(row["train_loss_nats"])
            if turn:  # the first one warms up
                speeds[side].append(row["images_per_s"])
        assert len(losses) == 1, "the numbers are not the same"
    ratios = [one / other for one, other in zip(speeds["stream"], speeds["memory"], strict=True)]
    return {
        "images from": name,
        "reading alone, images/s": f"{median(reading(stream, given.threads) for _ in range(3)):.0f}",
        "training from memory": f"{median(speeds['memory']):.0f}",
        "training from files": f"{median(speeds['stream']):.0f}",
        "ratio": f"**{median(ratios):.3f}**",
        "ratios of turns": f"{min(ratios):.3f} to {max(ratios):.3f}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--images", type=int, default=600, help="pictures, of which a tenth is for the test")
    parser.add_argument("--size", default="small", choices=SIZES, help="of the networks (conv)")
    parser.add_argument("--threads", type=int, default=1, help="of a trial")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--note", default="", help="what else is to be said of the machine")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory() as folder:
        rows = [compare(name, given, Path(folder)) for name in KINDS]
    text = table(rows) + (
        f"\nMedians over {given.turns} turns; pictures of {2 * given.image_size} px in colour, read as images of "
        f"{given.image_size} px; conv networks of size {given.size}, batches of 100, in the machine's "
        f"precision, {given.threads} thread(s) a trial and as many that read. {given.note}\n"
    )
    write_result("streaming", "Images from their files against images in memory", text)


if __name__ == "__main__":
    main()
