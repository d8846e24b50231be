"""How often are samples called copies of training images that are none?

    python benchmarks/copies.py

The report calls samples copies whose distance to the nearest training code is below a half of new images', of 50
samples or more (`analysis.study.sources`). Here training codes, new codes and samples are drawn from one distribution,
so that each such call is a mistake: a Gaussian, ten clusters, or a heavy tail (Student's t with 2 degrees of freedom,
with one scale for all latents), in 1 to 64 latents. Three minutes on one core.
"""

import argparse

import torch
from _record import table, write_result
from torch import Tensor

from analysis.study.sources import COPIES
from evae.metrics.neighbours import nearest_code_ratio

SIZES = ((500, 50), (1000, 100), (4000, 500))
"""Training codes, and as many new codes as samples."""
LATENTS = (1, 2, 4, 16, 64)


def gaussian(n: int, latent: int, random: torch.Generator) -> Tensor:
    return torch.randn(n, latent, generator=random)


def clusters(n: int, latent: int, random: torch.Generator) -> Tensor:
    means = 3 * torch.randn(10, latent, generator=torch.Generator().manual_seed(latent))
    return 0.3 * gaussian(n, latent, random) + means[torch.randint(10, (n,), generator=random)]


def heavy(n: int, latent: int, random: torch.Generator) -> Tensor:
    return gaussian(n, latent, random) / (-torch.rand(n, 1, generator=random).log()).sqrt()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=400, help="models of each kind")
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for latent in LATENTS:
        for train, count in SIZES:
            row = {"latents": f"{latent}", "training codes": f"{train}", "samples": f"{count}"}
            for draw in (gaussian, clusters, heavy):
                random = torch.Generator().manual_seed(0)
                sets = ([draw(n, latent, random) for n in (count, count, train)] for _ in range(given.draws))
                ratios = torch.tensor([nearest_code_ratio(*each) for each in sets])
                row[f"{draw.__name__}: sd of the ratio"] = f"{float(ratios.std()):.3f}"
                row[f"{draw.__name__}: called copies"] = f"{100 * float((ratios < COPIES).float().mean()):.1f} %"
            rows.append(row)
    write_result("copies", "How often samples are called copies that are none", table(rows))


if __name__ == "__main__":
    main()
