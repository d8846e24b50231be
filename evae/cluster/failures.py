"""What the driver does about trials that ended without a word, results that cannot be written, and lost machines."""

import contextlib
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray import tune
from rich.console import Console
from rich.text import Text

from evae.cluster.losses import Losses, loss
from evae.cluster.machine import Slots
from evae.errors import UserError
from evae.results.rows import close_row, opening_row, shortened
from evae.results.store import Store
from evae.search.job import Job

LOOK_EVERY_S = 5.0
"""How often the machines are looked after."""
PATIENCE_S = 600.0
"""A study whose results cannot be written for so long is stopped."""


class Failures(tune.Callback):
    """A Tune callback that gives up trials that are lost too often, records them and those that were stopped at a rung,
    and says on the console what a study has to wait for.

    Raises UserError, which ends the study, where a trial's results cannot be written for more than `PATIENCE_S`, and
    where another driver has taken them over.
    """

    def __init__(
        self,
        study: str,
        store: Store,
        slots: Slots,
        console: Console,
        stopped: Mapping[str, str],
        max_failures: int,
    ):
        """`stopped` says why, by trial, as the rungs fill it."""
        self.study, self.store, self.slots, self.console, self.stopped = study, store, slots, console, stopped
        self.losses: dict[str, Losses] = defaultdict(lambda: Losses(max_failures))
        self.epochs: dict[str, int] = {}
        """How far which trials have come."""
        self.given_up: list[Any] = []
        """Tune's trials that are not to be started again; the scheduler, who can, takes them from here."""
        self.unrecorded: list[tuple[Job, str, str, str | None]] = []
        self.waiting: dict[str, float] = {}
        """Since when which trials cannot write."""
        self.without_gpu: set[str] = set()
        """Machines whose GPU, which a trial has there, torch cannot use."""
        self.looked, self.fit = time.monotonic(), slots.now()
        if not self.fit:
            self._say(f"no machine has room for a trial yet, which takes {slots.need}; waiting for one that has")

    def __getstate__(self) -> dict:
        # As for the progress: Tune pickles its callbacks, and nobody reads that.
        return {}

    def on_trial_result(self, iteration: int, trials: list, trial: Any, result: dict[str, Any], **info: Any) -> None:
        if result["waits_for"] is None:
            self.losses[trial.trial_id].trained()
        if result["epochs"] > self.epochs.get(trial.trial_id, 0):
            self.epochs[trial.trial_id] = result["epochs"]
            self.losses[trial.trial_id].progress()
        if self.slots.gpus and result.get("device") == "cpu":
            host = result["slot"].rpartition(":")[0]
            if host not in self.without_gpu:
                self.without_gpu.add(host)
                self._say(f"torch cannot use the GPU of {host}: trials there train on the CPU")
        why, clock = result["waits_for"], time.monotonic()
        if why is None:
            if self.waiting.pop(trial.trial_id, None) and not self.waiting:
                self._say("results can be written again")
            return
        if not self.waiting:
            self._say(f"{why} Trials wait until then.")
        if clock - self.waiting.setdefault(trial.trial_id, clock) > PATIENCE_S:
            raise UserError(why)

    def on_trial_recover(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        """A trial has lost its process, and Tune would start it anew as often as that happens."""
        self.waiting.pop(trial.trial_id, None)
        error = latest(trial.error_file)
        found, losses = loss(error), self.losses[trial.trial_id]
        losses.add(found.machine, found.shared)
        if losses.too_many is None:
            self._say(f"{trial.config['job'].trial} starts again: {found.why}")
            return
        self.given_up.append(trial)
        why = f"{found.why}; {losses.too_many}"
        self.unrecorded.append((trial.config["job"], "failed", why, shortened(error)))
        self._look()

    def on_trial_error(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        """Tune itself gives a trial up, and there is nobody else to say so."""
        error = latest(trial.error_file)
        self.unrecorded.append((trial.config["job"], "failed", loss(error).why, shortened(error)))
        self._look()

    def on_trial_complete(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        job = trial.config["job"]
        if job.trial in self.stopped:
            self.unrecorded.append((job, "stopped", self.stopped[job.trial], None))
            self._look()

    def on_step_begin(self, iteration: int, trials: list, **info: Any) -> None:
        if self.store.closed:
            raise UserError(self.store.closed)
        if time.monotonic() - self.looked > LOOK_EVERY_S:
            self._look()

    def record(self) -> None:
        """Write the rows of these trials. Raises UserError where that cannot be done; they are not forgotten then."""
        while self.unrecorded:
            job, state, why, traceback = self.unrecorded[0]
            rows = self.store.rows("trials", job.trial)
            if not rows or rows[0]["attempt"] != job.attempt:
                # It died before it could say that it began.
                self.store.write("trials", job.trial, [opening_row(self.study, job)])
            close_row(self.store, job.trial, state, why, traceback)
            self.store.delete_bytes("checkpoints", f"{job.trial}.safetensors")
            del self.unrecorded[0]

    def _look(self) -> None:
        self.looked = time.monotonic()
        with contextlib.suppress(UserError):
            self.record()
        if (fit := self.slots.now()) != self.fit:
            self.fit = fit
            self._say(f"the machines have room for {fit} trial(s) at a time now; one takes {self.slots.need}")

    def _say(self, text: str) -> None:
        self.console.print(Text(text))


def latest(error_file: str) -> str:
    """The latest error in the file in which Tune keeps those of a trial."""
    return Path(error_file).read_text(encoding="utf-8").rpartition("Failure # ")[2].partition("\n")[2]
