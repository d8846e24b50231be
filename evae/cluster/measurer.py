"""Finished trials measured again: an actor in each slot takes one after the other."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import ray
import torch

from evae.checkpoints import restore_model
from evae.cluster.checked import require_same
from evae.cluster.losses import DIED
from evae.cluster.machine import Slots
from evae.data.base import ImageSet
from evae.errors import Diverged, UserError
from evae.evaluation import evaluate
from evae.hardware import accelerator
from evae.metrics.features import Features, load_features
from evae.metrics.reference import Reference
from evae.plugins import Plugin, load
from evae.recipe import Recipe
from evae.results.store import Store
from evae.training import Training


@dataclass(frozen=True)
class Again:
    """What is to be measured of a trial, by its `row`: recipes, which differ from its own in the evaluation alone, each
    with the columns that are wanted of it."""

    row: Mapping[str, Any]
    parts: tuple[tuple[Mapping[str, Any], tuple[str, ...]], ...]

    @property
    def trial(self) -> str:
        return self.row["trial"]


@dataclass(frozen=True)
class Measured:
    """Values and identities by column, what they were measured on, and why a density could not be fitted, if so."""

    device: str
    metrics: dict[str, float] = field(default_factory=dict)
    distances: dict[str, dict] = field(default_factory=dict)
    not_fitted: str = ""


@dataclass(frozen=True)
class MeasureSetting:
    """What all trials share: `references` are those of each features' name, by split."""

    store: Store
    images: ImageSet
    references: Mapping[str, Mapping[str, Reference | None]]
    cpus: float
    gpus: float
    plugins: tuple[Plugin, ...] = ()


class Measurer:
    """Measures one trial at a time, in this process."""

    def __init__(self, setting: MeasureSetting):
        self.setting = setting
        load(setting.plugins)
        torch.set_num_threads(max(1, int(setting.cpus)))
        self.device = torch.device(accelerator() if setting.gpus > 0 else "cpu")
        self.features: dict[str, Features] = {}

    def measure(self, again: Again) -> Measured | str:
        """What was measured; or why the trial could not be."""
        try:
            return self._measure(again)
        except (UserError, Diverged) as error:
            return str(error)
        except Exception as error:
            return f"{type(error).__name__}: {error}"[:1000]

    def _measure(self, again: Again) -> Measured:
        weights = self.setting.store.read_bytes("weights", f"{again.trial}.safetensors")
        if weights is None:
            raise UserError("its weights are gone")
        measured, not_fitted = Measured(self.device.type), {}
        for given, columns in again.parts:
            recipe = Recipe.from_dict(given)
            training = Training(recipe, self.setting.images, self.device)
            restore_model(training, weights)
            name = recipe.evaluation.features
            result = evaluate(training, self._features(name), self.setting.references[name], pictures=False)
            require_same(again.row, result.metrics)
            not_fitted |= dict.fromkeys(filter(None, [result.metrics.get("not_fitted")]))
            for column in columns:
                if column in result.metrics:
                    measured.metrics[column] = float(result.metrics[column])
                if column in result.distances:
                    measured.distances[column] = result.distances[column]
        return replace(measured, not_fitted="; ".join(not_fitted))

    def _features(self, name: str) -> Features | None:
        if self.setting.images.kind == "points":
            return None
        if name not in self.features:
            self.features[name] = load_features(name, self.device)
        return self.features[name]


def measure_all(jobs: Sequence[Again], setting: MeasureSetting, slots: Slots) -> Iterator[tuple[Again, Measured | str]]:
    """Each trial, as it comes, with what was measured of it, or why that could not be."""
    shared, waiting = ray.put(setting), deque(jobs)
    actor = ray.remote(num_cpus=setting.cpus, num_gpus=setting.gpus)(Measurer)
    idle = [actor.remote(shared) for _ in range(min(len(jobs), max(1, slots.now())))]
    busy: dict[Any, tuple[Any, Again]] = {}
    while waiting or busy:
        while idle and waiting:
            measurer, again = idle.pop(), waiting.popleft()
            busy[measurer.measure.remote(again)] = measurer, again
        (reference, *_), _ = ray.wait(list(busy))
        measurer, again = busy.pop(reference)
        try:
            yield again, ray.get(reference)
        except DIED as error:
            measurer = actor.remote(shared)
            yield again, f"the process that measured it died: {' '.join(str(error).split())}"[:1000]
        idle.append(measurer)
