"""What the driver does about trials that ended without a word, results that cannot be written, and lost machines."""

import contextlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray import tune
from rich.console import Console

from evae.cluster.machine import Slots
from evae.errors import UserError
from evae.results.rows import close_row, opening_row
from evae.results.store import Store
from evae.search.job import Job

LOOK_EVERY_S = 5.0
"""How often the machines are looked after."""
PATIENCE_S = 600.0
"""A study whose results cannot be written for so long is stopped."""


class Failures(tune.Callback):
    """A Tune callback that records lost trials and those that were stopped at a rung, and says on the console what a
    study has to wait for.

    Raises UserError, which ends the study, where a trial's results cannot be written for more than `PATIENCE_S`.
    """

    def __init__(self, study: str, store: Store, slots: Slots, console: Console, stopped: Mapping[str, str]):
        """`stopped` says why, by trial, as the rungs fill it."""
        self.study, self.store, self.slots, self.console, self.stopped = study, store, slots, console, stopped
        self.unrecorded: list[tuple[Job, str, str]] = []
        self.waiting: dict[str, float] = {}
        """Since when which trials cannot write."""
        self.looked, self.fit = time.monotonic(), slots.now()
        if not self.fit:
            self._say(f"no machine has room for a trial yet, which takes {slots.need}; waiting for one that has")

    def __getstate__(self) -> dict:
        # As for the progress: Tune pickles its callbacks, and nobody reads that.
        return {}

    def on_trial_result(self, iteration: int, trials: list, trial: Any, result: dict[str, Any], **info: Any) -> None:
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
        """A trial has lost its process, and Tune starts it anew."""
        self.waiting.pop(trial.trial_id, None)
        self._say(f"{trial.config['job'].trial} starts again: {reason(trial.error_file)}")

    def on_trial_error(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        """A trial has lost its process once too often, and there is nobody else to say so."""
        self.waiting.pop(trial.trial_id, None)
        self.unrecorded.append((trial.config["job"], "failed", reason(trial.error_file)))
        self._look()

    def on_trial_complete(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        job = trial.config["job"]
        if job.trial in self.stopped:
            self.unrecorded.append((job, "stopped", self.stopped[job.trial]))
            self._look()

    def on_step_begin(self, iteration: int, trials: list, **info: Any) -> None:
        if time.monotonic() - self.looked > LOOK_EVERY_S:
            self._look()

    def record(self) -> None:
        """Write the rows of these trials. Raises UserError where that cannot be done; they are not forgotten then."""
        while self.unrecorded:
            job, state, why = self.unrecorded[0]
            rows = self.store.rows("trials", job.trial)
            if not rows or rows[0]["attempt"] != job.attempt:
                # It died before it could say that it began.
                self.store.write("trials", job.trial, [opening_row(self.study, job)])
            close_row(self.store, job.trial, state, why)
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
        self.console.print(text, markup=False, highlight=False)


def reason(error_file: str) -> str:
    """Why a trial's process is gone, from the text in which Tune keeps what Ray raised, the latest at the end."""
    error = Path(error_file).read_text(encoding="utf-8").rpartition("Failure # ")[2]
    if "low on memory" in error:
        return "out of memory: Ray killed its process before the machine had none left"
    if "node has died" in error or "node died" in error:
        return "lost with its machine, which died or could not be reached any more"
    if "actor died" in error or "actor is dead" in error or "actor is temporarily unavailable" in error:
        return "its process died (killed, or out of memory)"
    return error.strip().rpartition("\n")[2][:1000]
