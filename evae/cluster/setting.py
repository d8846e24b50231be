"""What all trials of a study share."""

from collections.abc import Mapping
from dataclasses import dataclass

from evae.data.base import ImageSet
from evae.metrics.reference import Reference
from evae.plugins import Plugin
from evae.results.store import Store


@dataclass(frozen=True)
class Setting:
    """A study's images, results and machines: placed in the object store once per node and read without copies.

    A trial has `workers` processes with `cpus` cores and `gpus` GPUs each, which may die `max_failures` times. Each
    process imports the `plugins` before its first trial. Where the study is `followed`, whole rows go to the driver.
    `searched` are the metrics that the search looks at, None for all. Where a trial `recomputes`, its networks keep
    little for gradients (`evae.networks.layers.Block`).
    """

    study: str
    store: Store
    images: ImageSet
    references: Mapping[str, Reference | None]
    cpus: float
    gpus: float
    keep_weights: bool
    workers: int = 1
    max_failures: int = 2
    recomputes: bool = False
    plugins: tuple[Plugin, ...] = ()
    followed: bool = False
    searched: tuple[str, ...] | None = None
