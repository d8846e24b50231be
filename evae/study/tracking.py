"""Trackers beside a study: each in a thread of its own, told of what it has missed, and never waited for."""

import queue
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from evae.callbacks import Callback, Row
from evae.results.places import redacted
from evae.results.store import Store, StoreError
from evae.search.job import ENDED
from evae.trackers import Tracker, tracker

FOLDER = "tracked"
"""In the results: an empty file for each trial whose end a tracker has been told of."""
GRACE_S = 30.0
"""So long is a tracker waited for when the study has ended."""
WAIT_FOR_S = 1.0
"""After so long of that it is said."""


class Tracking(Callback):
    """Hands what it is told to a tracker, in a thread. Where that fails, this is said once, and the rest left out; what
    it has not been told of it is told of in the next session."""

    def __init__(self, name: str, study: str, store: Store, console: Console):
        self.name, self.store, self.console = name, store, console
        # Of results in an object store, what a tracker keeps is beside whoever runs the study, as the report is.
        self.folder = (Path(store.root) if store.is_local else Path(study).absolute()) / name
        self.waiting: queue.SimpleQueue[tuple[str, tuple[Row, ...]]] = queue.SimpleQueue()
        self.caught_up: set[str] = set()
        """Which ends were told as the session began: of trials that were taken meanwhile, the study tells too."""
        self.thread = threading.Thread(target=self._work, name=f"evae-{name}", daemon=True)

    def study_start(self, study: Row) -> None:
        self.waiting.put(("study_start", (dict(study),)))
        self.thread.start()

    def trial_start(self, trial: Row) -> None:
        self.waiting.put(("trial_start", (trial,)))

    def epoch(self, trial: Row, epoch: Row) -> None:
        self.waiting.put(("epoch", (trial, epoch)))

    def trial_end(self, trial: Row) -> None:
        self.waiting.put(("trial_end", (trial,)))

    def study_end(self, study: Row) -> None:
        """Wait for the tracker, for a while."""
        self.waiting.put(("study_end", (dict(study),)))
        self.thread.join(WAIT_FOR_S)
        if self.thread.is_alive():
            self._say(f"waiting up to {GRACE_S:.0f} s for {self.name}")
            self.thread.join(GRACE_S)
        if self.thread.is_alive():
            self._say(f"{self.name} is too slow, and is waited for no more; the same command tells it the rest")

    def _work(self) -> None:
        method = "__init__"
        try:
            made = tracker[self.name](self.folder, self._say)
            while method != "study_end":
                method, rows = self.waiting.get()
                self._tell(made, method, *rows)
        except Exception as error:
            words = " ".join(str(error).split())[:500]
            self._say(
                f"{self.name} failed in {method} ({type(error).__name__}: {words}) and is told no more; the study goes "
                "on, and the same command tells it the rest"
            )

    def _tell(self, made: Tracker, method: str, *rows: Row) -> None:
        if "trial" in rows[0] and rows[0].get("ended_at") and _mark(rows[0]) in self.caught_up:
            return
        if method == "trial_end":
            self._end(made, rows[0])
        else:
            getattr(made, method)(*rows)
        if method == "study_start":
            self._catch_up(made, rows[0]["started_at"])

    def _end(self, made: Tracker, row: Row) -> None:
        if row["state"] == "finished" and (pictures := self._rows("images", row["trial"])):
            made.pictures(row, pictures)
        made.trial_end(row)
        if row["state"] in ENDED:
            self.store.write_bytes(FOLDER, f"{_mark(row)}{self._suffix}", b"")

    def _catch_up(self, made: Tracker, began: datetime) -> None:
        """Tell of the trials that ended before this session began, but for those that were told of."""
        told = self.store.sizes(FOLDER, self._suffix)
        for row in self._rows("trials"):
            if row["state"] in ENDED and row["ended_at"] < began and _mark(row) not in told:
                made.trial_start(row | {"epochs": 0})
                for epoch in self._rows("epochs", row["trial"]):
                    made.epoch(row, epoch)
                self._end(made, row)
                self.caught_up.add(_mark(row))

    def _rows(self, kind: str, trial: str | None = None) -> list[dict[str, Any]]:
        """Rows of the store; none where they cannot be read now."""
        try:
            return self.store.rows(kind, trial)
        except StoreError:
            return []

    @property
    def _suffix(self) -> str:
        return f".{self.name}"

    def _say(self, text: str) -> None:
        self.console.print(Text(redacted(text)))


def _mark(row: Row) -> str:
    """The name of an end of a trial: one that is trained anew ends again."""
    return f"{row['trial']}@{row['ended_at']:%Y%m%dT%H%M%S%f}"
