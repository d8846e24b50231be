"""Samplers by the names of the option, set for studies of tens to some thousand configurations.

Optuna is imported when one is made: their names are known before.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

from evae.registry import Registry

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

sampler: Registry[Callable[[int], BaseSampler]] = Registry("sampler")
"""Functions that make a sampler of Optuna's kind from a seed, by name; and the decorator `@sampler("name")`."""


@sampler("tpe")
def tpe(seed: int) -> BaseSampler:
    from evae.search.branch_tpe import BranchTPE

    return BranchTPE(seed=seed)


@sampler("nsga2")
def nsga2(seed: int) -> BaseSampler:
    from evae.search.nsga2 import NSGA2

    return NSGA2(seed=seed, population_size=12)


@sampler("gp")
def gp(seed: int) -> BaseSampler:
    from optuna.samplers import GPSampler

    return GPSampler(seed=seed)


@sampler("qmc")
def qmc(seed: int) -> BaseSampler:
    from optuna.exceptions import ExperimentalWarning
    from optuna.samplers import QMCSampler

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return QMCSampler(seed=seed)


@sampler("random")
def random(seed: int) -> BaseSampler:
    from optuna.samplers import RandomSampler

    return RandomSampler(seed=seed)
