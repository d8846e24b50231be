"""A study's callbacks told of what Tune reports."""

import contextlib
import traceback
from collections.abc import Sequence
from typing import Any

from ray import tune
from rich.console import Console
from rich.text import Text

from evae.callbacks import Callback, Row
from evae.results.store import Store, StoreError


class Callbacks:
    """All callbacks of a study, each shielded from the others' errors."""

    def __init__(self, made: Sequence[Callback], console: Console):
        self.live, self.console = list(made), console

    def call(self, method: str, *rows: Row) -> None:
        """Call this method of each."""
        for one in list(self.live):
            try:
                getattr(one, method)(*rows)
            except Exception as error:
                self.live.remove(one)
                name = type(one).__name__
                last = traceback.extract_tb(error.__traceback__)[-1]
                said = (
                    f"the callback {name} failed in {method} ({type(error).__name__}: {error}; {last.filename}, line "
                    f"{last.lineno}) and is called no more; the study goes on"
                )
                self.console.print(Text(said))


class Followers(tune.Callback):
    """A Tune callback that tells the study's own callbacks of trials and epochs, in the order in which they come.

    Rows travel with Tune's results. Of a trial that ended otherwise than in its own process - stopped at a rung, lost,
    cancelled - the store has the row.
    """

    def __init__(self, callbacks: Callbacks, store: Store):
        self.callbacks, self.store = callbacks, store
        self.under_way: dict[str, dict[str, Any]] = {}
        """The rows, by trial, of those that have begun and not ended."""

    def __getstate__(self) -> dict:
        # As for the progress: Tune pickles its callbacks, and nobody reads that.
        return {}

    def on_trial_result(self, iteration: int, trials: list, trial: Any, result: dict[str, Any], **info: Any) -> None:
        row, epoch = result["row"], result["epoch_row"]
        if row["trial"] not in self.under_way:
            if result["done"] and row.get("taken_study") is not None:  # and was measured here
                return self.on_taken(row)
            self.callbacks.call("trial_start", row)
        self.under_way[row["trial"]] = row
        if epoch is not None:
            self.callbacks.call("epoch", row, epoch)
        if result["done"]:
            self._end(row)

    def on_trial_complete(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        self._look_up(trial.config["job"].trial)

    def on_trial_error(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        self._look_up(trial.config["job"].trial)

    def on_taken(self, row: Row) -> None:
        """A trial that another study has trained, as it is in the store now."""
        if self.callbacks.live:
            self.callbacks.call("trial_start", {**row, "epochs": 0})
            for epoch in self._stored("epochs", row["trial"]):
                self.callbacks.call("epoch", row, epoch)
            self.callbacks.call("trial_end", row)

    def close(self) -> None:
        """The study has ended, and with it the trials that were under way."""
        for trial in list(self.under_way):
            self._end(next(iter(self._stored("trials", trial)), self.under_way[trial]))

    def _look_up(self, trial: str) -> None:
        if trial in self.under_way:
            for row in self._stored("trials", trial):
                if row["state"] != "running":
                    self._end(row)

    def _stored(self, kind: str, trial: str) -> list[dict[str, Any]]:
        """Rows in the store; none where that cannot be reached now, which is no reason to end the study."""
        with contextlib.suppress(StoreError):
            return self.store.rows(kind, trial)
        return []

    def _end(self, row: dict[str, Any]) -> None:
        if self.under_way.pop(row["trial"], None) is not None:
            self.callbacks.call("trial_end", row)
