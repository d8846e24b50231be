"""How long does it take to fit the ex-post mixture of Gaussians, beside scikit-learn's?

    python benchmarks/mixture.py

Codes are drawn of twelve Gaussians that overlap. Both fit the same mixture to them from the same start, in turns, on
one thread. Shown are medians of seconds of this process's CPU, k-means included.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median

import torch
from _record import table, write_result
from sklearn.mixture import GaussianMixture

from evae.densities import MixtureDensity
from evae.densities.components import RIDGE
from evae.hardware import threads_of_torch


def drawn(n: int, latents: int) -> torch.Tensor:
    """Codes (n, latents) in float64, standardised."""
    generator = torch.Generator().manual_seed(0)
    means = 1.2 * torch.randn(12, latents, generator=generator)
    mixing = torch.randn(12, latents, latents, generator=generator) / latents**0.5
    noise, more = torch.randn(2, n, latents, generator=generator)
    which = torch.randint(12, (n,), generator=generator)
    codes = means[which] + 0.5 * more
    for component in range(12):
        rows = which == component
        codes[rows] += noise[rows] @ mixing[component]
    codes = codes.double()
    return (codes - codes.mean(0)) / codes.std(0, correction=0)


def seconds(call: Callable[[], object]) -> float:
    clock = time.process_time()
    call()
    return time.process_time() - clock


def row(n: int, latents: int, components: int, turns: int) -> dict[str, str]:
    codes, density = drawn(n, latents), MixtureDensity(components=components)
    seed = int(torch.randint(2**31 - 1, (), generator=torch.Generator().manual_seed(0)))
    oracle = GaussianMixture(
        components, tol=density.tolerance, max_iter=density.iterations, reg_covar=RIDGE, random_state=seed
    )
    theirs, ours = [], []
    for _ in range(turns):
        theirs.append(seconds(lambda: oracle.fit(codes.numpy())))
        ours.append(seconds(lambda: density.estimate(codes, torch.Generator().manual_seed(0))))
    each = {"scikit-learn, s": median(theirs), "here, s": median(ours)}
    shown = {
        "codes": f"{n:,}",
        "latents": f"{latents}",
        "components": f"{components}",
        "iterations": f"{oracle.n_iter_}",
    }
    return (
        shown
        | {name: f"{value:.3f}" for name, value in each.items()}
        | {"times as fast": f"{median(theirs) / median(ours):.2f}"}
    )


@threads_of_torch()
def measured(given: argparse.Namespace) -> list[dict[str, str]]:
    return [row(n, d, k, given.turns) for n in given.codes for d in given.latents for k in given.components]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--codes", type=int, nargs="+", default=[4_000, 20_000])
    parser.add_argument("--latents", type=int, nargs="+", default=[2, 16, 32, 64, 128])
    parser.add_argument("--components", type=int, nargs="+", default=[1, 2, 10, 50])
    parser.add_argument("--turns", type=int, default=3, help="fits of each")
    torch.set_num_threads(1)
    write_result("mixture", "Fitting a mixture of Gaussians", table(measured(parser.parse_args())))


if __name__ == "__main__":
    main()
