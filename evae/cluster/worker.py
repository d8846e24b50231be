"""What trains a study's trials, one after the other: in a Tune actor itself, or in each process of a worker group."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

import torch

from evae.checkpoints import dump_model, dump_training, restore_model, restore_training
from evae.cluster.setting import Setting
from evae.data.base import ImageSet
from evae.errors import UserError
from evae.evaluation import Evaluated, evaluate
from evae.hardware import accelerator, processor
from evae.metrics.features import Features, load_features
from evae.metrics.reference import Reference
from evae.ranks import Ranks
from evae.recipe import Recipe
from evae.training import Training


@dataclass(frozen=True)
class Begun:
    """A trial built: `epochs` are done already where a checkpoint was taken up."""

    epochs: int
    device: str
    precision: str
    processor: str
    parameters: int


def worker_of(setting: Setting) -> Worker:
    """What trains a study's trials with one process each, in this one."""
    device = torch.device(accelerator() if setting.gpus > 0 else "cpu")
    given = setting.images, setting.references, device, setting.threads
    return Worker(*given, searched=setting.searched, recomputes=setting.recomputes)


class Worker:
    """Trains on a device, with the other `ranks` of its group or alone, for a search that looks at the metrics
    `searched` (see `evaluate`). One trial at a time."""

    losses = 0
    """A trial in one process cannot lose it and go on."""

    def __init__(
        self,
        images: ImageSet,
        references: Mapping[str, Reference | None],
        device: torch.device,
        threads: int,
        ranks: Ranks | None = None,
        searched: Sequence[str] | None = None,
        recomputes: bool = False,
    ):
        # More threads than cores make concurrent trainings ten times slower, so each takes only its share.
        torch.set_num_threads(threads)
        self.images, self.references, self.device, self.ranks = images, references, device, ranks
        self.searched, self.recomputes = searched, recomputes
        self.training: Training | None = None

    def begin(self, recipe: Mapping[str, Any], saved: bytes | None) -> Begun:
        """Build the model, and take up what `saved` left of it, if that can be read: an interrupted trial, or a trained
        model, which has no epochs before it. The trial before is forgotten."""
        self.end()
        given = Recipe.from_dict(recipe), self.images, self.device, self.ranks
        self.training = Training(*given, recomputes=self.recomputes)
        if saved is not None:
            for restore in (restore_training, restore_model):
                with contextlib.suppress(UserError):
                    restore(self.training, saved)
                    break
        parameters = sum(p.numel() for p in self.training.model.parameters())
        kinds = self.device.type, self.training.precision, processor(self.device)
        return Begun(self.training.epoch, *kinds, parameters)

    def train_epoch(self) -> dict[str, Any]:
        """Train and validate an epoch; its row for the store."""
        started, clock = datetime.now(UTC), time.perf_counter()
        trained = self.training.train_epoch()
        validated = self.training.validate()
        return {
            "epoch": self.training.epoch,
            "stepped": self.training.stepped,
            "started_at": started,
            "ended_at": datetime.now(UTC),
            "evaluate_s": time.perf_counter() - clock - trained["train_s"],
            **trained,
            **validated,
        }

    def dump(self) -> bytes:
        """The trial as it stands, for `begin`."""
        return dump_training(self.training)

    def advance(self) -> tuple[dict[str, Any], bytes]:
        """`train_epoch`, and the trial as it then stands."""
        return self.train_epoch(), self.dump()

    def measure(self) -> dict[str, float | str]:
        """The metrics of the model as it is now, on the validation split alone and without pictures; not those that
        are lists."""
        references = {"validation": self.references["validation"]}
        metrics = evaluate(self.training, self._features(), references, False, self.searched).metrics
        return {name: value for name, value in metrics.items() if not isinstance(value, list)}

    def evaluate(self) -> Evaluated:
        """Measure the trained model."""
        self.training.release()
        return evaluate(self.training, self._features(), self.references, searched=self.searched)

    def _features(self) -> Features | None:
        """None of points."""
        if self.images.kind == "points":
            return None
        return features_on(self.training.recipe.evaluation.features, self.device)

    def weights(self) -> bytes:
        """The trained model, as a file."""
        return dump_model(self.training.model, self.training.recipe, self.images.image_size, self.images.channels)

    def end(self) -> None:
        """Forget the trial."""
        if self.training is not None:
            # At once, and not when Python comes to collect its circles: the next trial needs the memory.
            self.training.release()
        self.training = None

    def close(self) -> None:
        """Nothing but this process's memory to give back."""


@cache
def features_on(name: str, device: torch.device) -> Features:
    """The same for all lanes of a process."""
    return load_features(name, device)
