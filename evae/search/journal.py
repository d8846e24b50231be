"""The study as Optuna's own tools see it: a journal file in the results folder.

    cd results/kernel-sweep/optuna; optuna-dashboard journal.log --artifact-dir artifacts

    storage = JournalStorage(JournalFileBackend("results/kernel-sweep/optuna/journal.log"))
    optuna.load_study(study_name="kernel-sweep", storage=storage)

It is written as the search goes on, a line when a configuration begins and one when Optuna is told of it, and can be
opened meanwhile. The store remains the truth: what the journal lacks is added from it, and a journal that is lost or
damaged is made anew. For results in an object store it is kept in a temporary folder, and copied there at the end.
"""

import contextlib
import json
import os
import tempfile
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
from optuna.trial import FrozenTrial, TrialState, create_trial

from evae.results.store import Store
from evae.search.configuration import Configuration
from evae.search.searcher import StudySearcher
from evae.search.shown import artifacts, note, note_attributes

FOLDER, FILE = "optuna", "journal.log"


class Journal:
    """Keeps the journal up to date with a searcher's study. Use as a context manager around the search."""

    def __init__(self, store: Store, name: str, searcher: StudySearcher):
        self.store, self.name, self.searcher = store, name, searcher
        self.scratch = contextlib.ExitStack()
        self.study: optuna.Study | None = None
        self.numbers: dict[int, int] = {}
        """The searcher's trials by number: their numbers in the journal."""
        self.trials = 0
        """Trials in the journal."""

    def __enter__(self) -> "Journal":
        if self.store.is_local:
            self.path = Path(self.store.path(FOLDER, FILE))
            self.path.parent.mkdir(exist_ok=True)
        else:
            self.path = Path(self.scratch.enter_context(tempfile.TemporaryDirectory(prefix="evae-journal-"))) / FILE
            if (earlier := self.store.read_bytes(FOLDER, FILE)) is not None:
                self.path.write_bytes(earlier)
        self._begin()
        self.searcher.on_change = self.record
        return self

    def __exit__(self, *exc: object) -> None:
        """Whatever happened, nothing is left RUNNING."""
        with self.scratch:
            self.searcher.close()
            if self.study is None:
                self._begin()
            if not self.store.is_local:
                self.store.write_bytes(FOLDER, FILE, self.path.read_bytes())

    def record(self, trial: FrozenTrial, configuration: Configuration) -> None:
        """Write down that a trial has begun or ended. One that cannot be written is added at the end of the session."""
        if self.study is None:
            return
        try:
            if trial.number not in self.numbers:
                self._add(trial, configuration)
            else:
                self._end(trial, configuration)
        except OSError:
            self.study = None

    def _end(self, trial: FrozenTrial, configuration: Configuration) -> None:
        number = self.numbers[trial.number]
        for name, value in artifacts(self.store, configuration).items():
            self.storage.set_trial_system_attr(self._id(number), name, value)
        self._note(number, configuration)
        self.study.tell(number, trial.values, trial.state)

    def _note(self, number: int, configuration: Configuration) -> None:
        study = self.storage.get_study_id_from_name(self.name)
        for name, value in note_attributes(self._id(number), note(configuration)).items():
            self.storage.set_study_system_attr(study, name, value)

    def _id(self, number: int) -> int:
        study = self.storage.get_study_id_from_name(self.name)
        return self.storage.get_trial_id_from_study_id_trial_number(study, number)

    def _begin(self) -> None:
        """Open the journal, and add what it lacks."""
        with contextlib.suppress(OSError):
            mend(self.path)
            try:
                self.study = self._open()
                there = self.study.get_trials(deepcopy=False)
            except (ValueError, KeyError, TypeError, optuna.exceptions.OptunaError):
                os.replace(self.path, f"{self.path}.unreadable")
                self.study, there = self._open(), []
            self.trials = len(there)
            # These belong to a driver that died; their configurations, if they are continued, are added below.
            for trial in there:
                if trial.state == TrialState.RUNNING:
                    self.study.tell(trial.number, state=TrialState.FAIL)
            self._complete(Counter((t.user_attrs.get("configuration"), t.state) for t in there))

    def _open(self) -> optuna.Study:
        self.storage = storage = JournalStorage(Lines(str(self.path)))
        directions = self.searcher.study.directions
        study = optuna.create_study(study_name=self.name, storage=storage, directions=directions, load_if_exists=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names([metric for metric, _ in self.searcher.objectives])
        return study

    def _complete(self, there: Counter[tuple[Any, TrialState]]) -> None:
        self.numbers.clear()
        trials = self.searcher.study.get_trials(deepcopy=False)
        for configuration in self.searcher.configurations.values():
            trial = trials[configuration.optuna_trial.number]
            known = (configuration.key, trial.state)
            if trial.state != TrialState.RUNNING and there[known]:
                there[known] -= 1
            else:
                self._add(trial, configuration)

    def _add(self, trial: FrozenTrial, configuration: Configuration) -> None:
        attrs = {name: getattr(configuration, name) for name in ("key", "number", "origin", "label")}
        attrs["configuration"] = attrs.pop("key")
        self.study.add_trial(
            create_trial(
                state=trial.state,
                values=trial.values,
                params=trial.params,
                distributions=trial.distributions,
                user_attrs={name: value for name, value in attrs.items() if value is not None},
                system_attrs=artifacts(self.store, configuration),
            )
        )
        self.numbers[trial.number] = number = self.trials
        self.trials += 1
        if trial.state != TrialState.RUNNING:
            self._note(number, configuration)


class Lines(JournalFileBackend):
    """Optuna's, but for the wait until a line is on the disk: what a machine that goes down has lost of the journal is
    added from the store, and a study would wait four times for each of its trials."""

    def __init__(self, path: str):
        self.path, self.lock = path, JournalFileSymlinkLock(path)
        super().__init__(path, self.lock)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        self.lock.acquire()
        try:
            with open(self.path, "a", encoding="utf-8") as file:
                file.writelines(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        finally:
            self.lock.release()


def mend(path: Path) -> None:
    """Remove a last line that was cut off as it was written: what is appended to it would not be readable."""
    if path.exists() and (text := path.read_bytes()) and not text.endswith(b"\n"):
        os.truncate(path, text.rfind(b"\n") + 1)
