"""What all trials of a study share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evae.data.base import ImageSet
from evae.plugins import Plugin
from evae.results.store import Store

if TYPE_CHECKING:
    from evae.metrics.reference import Reference  # imports torch, which not everybody needs who has a setting


@dataclass(frozen=True)
class Setting:
    """A study's images, results and machines: placed in the object store once per node and read without copies.

    A trial has `workers` processes with `cpus` cores and `gpus` GPUs each, which may die `max_failures` times. Each
    process imports the `plugins` before its first trial. Of a finished trial its weights are kept, with `keep` "states"
    the state of its training too, and with "none" neither. Where the study is `followed`, whole rows go to the driver.
    `searched` are the metrics that the search looks at, None for all. Where a trial `recomputes`, its networks keep
    little for gradients (`evae.networks.layers.Block`).

    With several `lanes` so many trials share the cores and GPUs of one process, which is a pack's. `packs` is who knows
    those that are there already; for who hands work to a lane, with the whole setting in a list, and then there are no
    images here (`evae.cluster.packs`).
    """

    study: str
    store: Store
    images: ImageSet
    references: Mapping[str, Reference | None]
    cpus: float
    gpus: float
    keep: str
    workers: int = 1
    max_failures: int = 2
    recomputes: bool = False
    plugins: tuple[Plugin, ...] = ()
    followed: bool = False
    searched: tuple[str, ...] | None = None
    lanes: int = 1
    packs: Any = None

    @property
    def threads(self) -> int:
        """Of a process, or lane."""
        return max(1, int(self.cpus))
