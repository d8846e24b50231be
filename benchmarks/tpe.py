"""TPE with several objectives: one parameter after the other, or those of a branch together?

    python benchmarks/tpe.py [--repetitions 20] [--trials 60]

Compares, on problems whose objectives are formulas, Optuna's default, Optuna's own way to draw jointly in conditional
spaces (multivariate, in groups), and `evae.search.samplers.BranchTPE`. All minimise two objectives; measured is the
hypervolume below a reference point, as a share of the box up to it, with 95 % intervals by Student's t.

- zdt1, zdt2, zdt3: Zitzler, Deb & Thiele (Evolutionary Computation 8(2), 2000), of 5 and of 10 parameters. Apart from
  the first, every parameter has its best value whatever the others are: that suits one after the other.
- ridge: two ellipsoids turned against the axes, of 4 and of 6 parameters. Which value of a parameter is good depends on
  the others.
- kernels: a formula in the conditional space of the kernel studies.

Then how long a suggestion takes there once 1,000 and 10,000 random trials have been told, as CPU time.
"""

import argparse
import math
import time
import warnings
from collections.abc import Callable
from multiprocessing import Pool

import numpy as np
import optuna
from _record import table, write_result
from scipy import stats

from evae.posteriors.autoencoder import Autoencoder
from evae.recipe import Recipe
from evae.search.branch_tpe import BranchTPE
from evae.search.hypervolume import hypervolume
from search_spaces import kernels

SAMPLERS = {
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
    "one by one": lambda seed: optuna.samplers.TPESampler(seed=seed),
    "groups": lambda seed: optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True),
    "branches": lambda seed: BranchTPE(seed=seed),
}
Objectives = Callable[[optuna.Trial], tuple[float, float]]


def zdt(kind: int, parameters: int) -> Objectives:
    def objectives(trial: optuna.Trial) -> tuple[float, float]:
        first, *rest = (trial.suggest_float(f"x{i}", 0, 1) for i in range(parameters))
        g = 1 + 9 * sum(rest) / len(rest)
        ratio = first / g
        shape = {1: math.sqrt(ratio), 2: ratio**2, 3: math.sqrt(ratio) + ratio * math.sin(10 * math.pi * first)}
        return first, g * (1 - shape[kind])

    return objectives


def ridge(parameters: int) -> Objectives:
    turn = np.linalg.qr(np.random.default_rng(5).normal(size=(parameters, parameters)))[0]
    weights = np.resize([1.0, 3.0, 10.0], parameters)

    def objectives(trial: optuna.Trial) -> tuple[float, float]:
        y = turn @ [trial.suggest_float(f"x{i}", -2, 2) for i in range(parameters)]
        return tuple(float((weights * (y + shift) ** 2).sum()) for shift in (-0.5, 0.5))

    return objectives


def kernel_space(trial: optuna.Trial) -> tuple[float, float]:
    posterior = kernels.suggest(trial, Recipe()).posterior
    if isinstance(posterior, Autoencoder):
        return 2.0, 0.5
    beta, rank = math.log10(posterior.beta), len(getattr(posterior, "kernel", ""))
    penalty = 0.7 + 0.03 * rank
    if posterior.family == "evae":
        bandwidth, width = math.log10(posterior.bandwidth), math.log10(posterior.prior_width)
        penalty = 0.5 + (width - bandwidth) ** 2 + 0.3 * (beta + bandwidth) ** 2 + 0.1 * (posterior.prior == "uniform")
    return penalty + 0.5 * (beta - 0.5) ** 2, penalty + 0.5 * (beta + 1) ** 2


PROBLEMS: dict[str, tuple[Objectives, tuple[float, float]]] = {
    "zdt1, 5": (zdt(1, 5), (1.1, 6.0)),
    "zdt2, 5": (zdt(2, 5), (1.1, 6.0)),
    "zdt3, 5": (zdt(3, 5), (1.1, 6.0)),
    "zdt1, 10": (zdt(1, 10), (1.1, 6.0)),
    "ridge, 4": (ridge(4), (60.0, 60.0)),
    "ridge, 6": (ridge(6), (60.0, 60.0)),
    "kernels": (kernel_space, (4.0, 4.0)),
}
"""The objectives, and the reference point of their hypervolume."""


def run(job: tuple[str, str, int, int]) -> float:
    """Share of the hypervolume that a search has found, with a new sampler for each trial as in a study."""
    problem, name, seed, trials = job
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    objectives, reference = PROBLEMS[problem]
    study, found = optuna.create_study(directions=["minimize", "minimize"]), []
    for number in range(trials):
        study.sampler = SAMPLERS[name](1000 * seed + number)
        trial = study.ask()
        found.append(objectives(trial))
        study.tell(trial, found[-1])
    return hypervolume(np.array(found) / reference, np.ones(2))


def latency(name: str, told: int = 1000, asked: int = 100) -> dict[str, str]:
    """Milliseconds of CPU time of a suggestion in the kernel space, after `told` random trials."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study, taken = optuna.create_study(directions=["minimize", "minimize"]), []
    for number in range(told + asked):
        study.sampler = SAMPLERS[name if number >= told else "random"](number)
        started = time.process_time()
        trial = study.ask()
        values = kernel_space(trial)
        taken.append(1000 * (time.process_time() - started))
        study.tell(trial, values)
    middle, late = np.percentile(taken[told:], [50, 95])
    found = {"sampler": name, "trials told": f"{told:,}"}
    return found | {"median, ms": f"{middle:.1f}", "95th percentile, ms": f"{late:.1f}"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument("--trials", type=int, default=60)
    given = parser.parse_args()
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    speeds, rows = table([*map(latency, SAMPLERS), latency("branches", 10_000)]), []
    with Pool() as pool:
        for problem in PROBLEMS:
            jobs = [(problem, name, seed, given.trials) for name in SAMPLERS for seed in range(given.repetitions)]
            found = np.array(pool.map(run, jobs, chunksize=1)).reshape(len(SAMPLERS), given.repetitions)
            half = stats.sem(found, axis=1) * stats.t.ppf(0.975, given.repetitions - 1)
            cells = [f"{m:.3f} ± {h:.3f}" for m, h in zip(found.mean(axis=1), half, strict=True)]
            rows.append({"problem, parameters": problem} | dict(zip(SAMPLERS, cells, strict=True)))
    setting = f"{given.trials} trials one after the other, {given.repetitions} repetitions. The rest: the docstring."
    text = f"{setting}\n\n{table(rows)}\n## A suggestion in the kernel space\n\n{speeds}"
    write_result("tpe", "TPE, one parameter after the other or together", text)


if __name__ == "__main__":
    main()
