"""Fréchet algebra on Inception's 2,048 features: ours against pytorch-fid's formula with scipy.linalg.sqrtm.

    python benchmarks/frechet.py [--dim 2048] [--count 10000] [--runs 3]

Both get the same means and covariances of two sets of ill-conditioned synthetic features (eigenvalues that
fall by ten orders of magnitude) and run alternately, in one process with the same threads. Ours is also timed
with the real set's factor at hand, which is the case from the second trial of a study on. Expected: the same
value to 1e-6, and at most a fifth of the time.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import scipy
import scipy.linalg
import torch
from _record import table, write_result

from evae.metrics.frechet import Moments, frechet_distance


def synthetic(count: int, dim: int, seed: int) -> Moments:
    """Moments of `count` correlated rows; two seeds differ by a shift and a scale, as models do."""
    basis, _ = torch.linalg.qr(torch.randn(dim, dim, generator=torch.Generator().manual_seed(99)))
    scales = torch.logspace(0, -5, dim) * (1 + 0.1 * seed)
    found, draw = Moments(), torch.Generator().manual_seed(seed)
    for _ in range(0, count, 1000):
        rows = torch.randn(1000, dim, generator=draw) * scales
        found.update(rows @ basis + 0.01 * seed)
    return found


def with_sqrtm(a: Moments, b: Moments) -> float:
    """pytorch-fid's calculate_frechet_distance, less the argument of sqrtm that scipy has removed."""
    s, t = a.covariance.numpy(), b.covariance.numpy()
    difference = (a.mean - b.mean).numpy()
    root = scipy.linalg.sqrtm(s @ t)
    return float(difference @ difference + np.trace(s) + np.trace(t) - 2 * np.trace(root).real)


def timed(function: Callable[..., float], *moments: Moments) -> tuple[float, float]:
    """Value and seconds."""
    started = time.perf_counter()
    value = function(*moments)
    return value, time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dim", type=int, default=2048, help="features")
    parser.add_argument("--count", type=int, default=10_000, help="images in each set; whole thousands")
    parser.add_argument("--runs", type=int, default=3, help="of each way; medians are reported")
    given = parser.parse_args()
    a, b = (synthetic(given.count, given.dim, seed) for seed in (1, 2))
    taken: dict[str, list[float]] = {"ours": [], "ours, factor at hand": [], "scipy.linalg.sqrtm": []}
    values = {}
    for _ in range(given.runs):
        b.__dict__.pop("factor", None)
        for name, function in zip(taken, (frechet_distance, frechet_distance, with_sqrtm), strict=True):
            values[name], seconds = timed(function, a, b)
            taken[name].append(seconds)
            print(f"{name}: {values[name]:.9g} in {seconds:.2f} s", flush=True)
    write_result("frechet", "Fréchet algebra at the size of Inception's features", report(values, taken))


def report(values: dict[str, float], taken: dict[str, list[float]]) -> str:
    """The table; the last way is the one compared against."""
    theirs = "scipy.linalg.sqrtm"
    medians = {name: statistics.median(seconds) for name, seconds in taken.items()}
    rows = [
        {
            "way": name,
            "seconds (all runs)": f"{medians[name]:.2f} ({', '.join(f'{s:.2f}' for s in taken[name])})",
            "of sqrtm's time": f"{medians[name] / medians[theirs]:.3f}",
            "value": f"{value:.9g}",
            "relative difference": f"{abs(value / values[theirs] - 1):.1e}",
        }
        for name, value in values.items()
    ]
    threads = torch.get_num_threads()
    return f"{table(rows)}\nMedians of runs taken alternately; {threads} threads, scipy {scipy.__version__}.\n"


if __name__ == "__main__":
    main()
