"""What follows a study as it goes on: a tracker of one's own."""

from collections.abc import Mapping
from typing import Any

from evae.registry import Registry

Row = Mapping[str, Any]


class Callback:
    """Methods that are called in the process that runs the study, each with rows as the store has them; those that are
    not needed are left out. An error in one ends the callback, with a word on the console, and never the study.

    A trial that was interrupted begins again: its epochs go on where its last checkpoint was, so that the same epoch
    may be told twice. One that another study has trained is told in the session that takes it, from its start to its
    end, with rows that say where it was trained (`taken_study`, `taken_from`, `taken_trial`).
    """

    def study_start(self, study: Row) -> None:
        """The session's row of the `study` table, before the first trial."""

    def trial_start(self, trial: Row) -> None:
        """The row of a trial that has begun."""

    def epoch(self, trial: Row, epoch: Row) -> None:
        """A row of the `epochs` table, with the trial's row so far."""

    def trial_end(self, trial: Row) -> None:
        """The row of a trial that has ended, whatever its state."""

    def study_end(self, study: Row) -> None:
        """The session's row as the study ended: its `state` says how."""


callback: Registry[type[Callback]] = Registry("callback", name_of=lambda given: given.__name__)
"""The callbacks by the name of their class, and the decorator that adds one."""
