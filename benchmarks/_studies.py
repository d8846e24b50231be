"""Studies of short trials on one GPU, as a user starts them, for benchmarks/gpu.py."""

import io
import tempfile
import time
from dataclasses import dataclass
from typing import Any

from _page import Page
from _rates import BATCH, Setting
from rich.console import Console
from utilisation import HELD_OUT, ShortTrials, fit_times

from evae.study.room import images_per_s
from evae.study.run import run_study

TRIAL_S, ROUNDS = 5.0, 8
"""What a trial of a pack that is kept full takes in its lane, and how many each lane is given."""


@dataclass(frozen=True)
class Ended:
    """A study that has ended: the rows of its trials and epochs. `wall_s` is from the call of `run_study` to its
    return, `search_s` of that from the call of `Tuner.fit` to its return."""

    trials: list[dict[str, Any]]
    epochs: list[dict[str, Any]]
    wall_s: float
    search_s: float

    @property
    def slots(self) -> int:
        """Trials that could be under way at once: processes, or lanes of one. An actor keeps the rows of each."""
        return max(len({row["slot"] for row in self.trials}), max(row["lanes"] for row in self.trials))

    @property
    def running_s(self) -> float:
        """From the first epoch's start to the end of the last one."""
        started = min(row["started_at"] for row in self.epochs)
        return (max(row["ended_at"] for row in self.epochs) - started).total_seconds()

    def spent(self, column: str, of_s: float | None = None) -> float:
        """The share of slots x seconds, by default of the search, that all trials together spent on it."""
        return sum(row[column] for row in self.trials) / (self.slots * (of_s or self.search_s))


def ended(setting: Setting, name: str, **options: Any) -> Ended:
    """Run a study of `ShortTrials` with these options to its end."""
    with tempfile.TemporaryDirectory() as folder, fit_times() as times:
        size = "small" if setting.gpu else "tiny"
        given = {"results": folder, "size": size, "trials": setting.trials, "batch_size": BATCH, "precision": "fp32"}
        given |= {"train_images": len(setting.images.train)} | options
        clock = time.perf_counter()
        store = run_study(f"{name}.", ShortTrials(**given), Console(file=io.StringIO()))
        wall_s = time.perf_counter() - clock
        rows = store.read("trials").to_pylist(), store.read("epochs").to_pylist()
    lost = [row["reason"] for row in rows[0] if row["state"] != "finished"]
    if lost:
        raise RuntimeError(f"{len(lost)} of {len(rows[0])} trials did not finish: {lost[0]}")
    return Ended(*rows, wall_s, times[1] - times[0])


def studies(page: Page, setting: Setting) -> None:
    """A table of studies that share the GPU in one way or the other."""
    written = {"wall, s": "{:.1f}", "search, s": "{:.1f}", "images/s": "{:,.0f}"}
    shares = dict.fromkeys(("training", "evaluation"), "{:.2f}")
    said = (
        f"A study of {setting.trials} trials: its wall, and its search; of the search, images per second and the "
        "shares of slots x seconds that trials spent in training and in evaluation:"
    )
    found = page.table("study", written | shares, said)

    def study(name: str, **options: Any) -> dict[str, float]:
        run = ended(setting, name, **options)
        images = sum(row["epochs"] for row in run.trials) * len(setting.images.train)
        measured = {"wall, s": run.wall_s, "search, s": run.search_s, "images/s": images / run.search_s}
        return measured | {"training": run.spent("train_s"), "evaluation": run.spent("evaluate_s")}

    if setting.gpu:
        shared = {"trials_at_once": 10, "gpus_per_worker": 0.1, "lanes": 1}
        found.take("ten processes", lambda: study("ten processes", **shared))
        found.take("lanes", lambda: study("lanes"))
    else:
        found.take("one process", lambda: study("one process", trials_at_once=1, lanes=1))
    processes, lanes = (found.found.get(way, {}) for way in ("ten processes", "lanes"))
    if processes and lanes:
        gain = processes["search, s"] / lanes["search, s"]
        page.aim("the study with lanes against ten processes", "at least 5", gain)
    if lanes:
        page.aim("evaluation's share of the study with lanes", "at most 0.15", lanes["evaluation"])


def full_pack(page: Page, setting: Setting) -> None:
    """A table of how much of its lanes' time a pack trains that always has another trial to take."""
    lanes = setting.lanes[-1]
    said = (
        f"A pack kept full, {ROUNDS} trials for each of {lanes} lanes, evaluated on {HELD_OUT} + {HELD_OUT} images: "
        "the shares of lanes x seconds spent in training, of the whole search with the start of its processes, and "
        "from the start of the first epoch to the end of the last; and in evaluation, of the search:"
    )
    shares = dict.fromkeys(("training", "training, first to last epoch", "evaluation"), "{:.2f}")
    found = page.table("pack", {"trial, s": "{:.2f}", "search, s": "{:.1f}"} | shares, said)

    def pack() -> dict[str, float]:
        images, seconds = len(setting.images.train), TRIAL_S if setting.gpu else TRIAL_S / 10
        recipe = setting.recipe("small" if setting.gpu else "tiny")
        each = images_per_s(recipe, setting.images, setting.device, lanes) / lanes
        setting.forget()
        held_out = {"validation_images": HELD_OUT, "test_images": HELD_OUT}
        epochs, trials = max(2, round(seconds * each / images)), ROUNDS * lanes
        run = ended(setting, "pack", epochs=epochs, trials=trials, trials_at_once=lanes, lanes=lanes, **held_out)
        measured = {"trial, s": sum(row["train_s"] for row in run.trials) / trials, "search, s": run.search_s}
        running = {"training, first to last epoch": run.spent("train_s", run.running_s)}
        return measured | {"training": run.spent("train_s"), "evaluation": run.spent("evaluate_s")} | running

    found.take(f"{lanes} lanes", pack)
    if cells := found.found[f"{lanes} lanes"]:
        page.aim("a pack kept full: share of lanes x search in training", "at least 0.9", cells["training"])
