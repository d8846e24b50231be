"""Trackers cost a study nothing: they may be slow, fail, and be told later what they have missed."""

import io
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import pytest
from rich.console import Console

from evae.errors import UserError
from evae.results.store import Store
from evae.study import tracking
from evae.study.options import StudyOptions
from evae.study.tracking import Tracking
from evae.trackers import Tracker, tracker

BEGAN = datetime(2026, 3, 2, 9, tzinfo=UTC)
STUDY = {"study": "s", "started_at": BEGAN}


@pytest.fixture
def diary():
    """A tracker that writes down what it is told, waits for its gate, and fails as it is told to."""

    class Diary(Tracker):
        told: ClassVar[list[str]] = []
        gate = threading.Event()
        fails_at = ""

        def note(self, what: str, trial: str = "") -> None:
            self.gate.wait()
            if f"{what} {trial}" == self.fails_at:
                raise OSError("no room on s3://key:secret@bucket/x")
            self.told.append(f"{what} {trial}".strip())

        def trial_start(self, trial):
            self.note("start", trial["trial"])

        def pictures(self, trial, pictures):
            self.note(f"{len(pictures)} pictures", trial["trial"])

        def trial_end(self, trial):
            self.note("end", trial["trial"])

    tracker.add("diary", Diary)
    Diary.gate.set()
    yield Diary
    del tracker.entries["diary"]


def session(store: Store) -> tuple[Tracking, io.StringIO]:
    said = io.StringIO()
    made = Tracking("diary", "s", store, Console(file=said, width=1000))
    made.study_start(STUDY)
    return made, said


def end(made: Tracking) -> None:
    made.study_end(STUDY)
    made.thread.join()


def filled(folder: Path) -> Store:
    store = Store(folder)
    store.prepare()
    for place, state in enumerate(("finished", "failed", "cancelled", "running")):
        ended = None if state == "running" else BEGAN - timedelta(minutes=9 - place)
        store.write("trials", state, [{"trial": state, "state": state, "ended_at": ended}])
        store.write("images", state, [{"trial": state, "kind": "sampled", "png": b""}])
    return store


def test_what_ended_before_is_told_once(diary, tmp_path):
    store = filled(tmp_path)
    end(session(store)[0])
    assert sorted(diary.told) == ["1 pictures finished", "end failed", "end finished", "start failed", "start finished"]
    end(session(store)[0])
    assert len(diary.told) == 5
    # Trained anew, it ends anew.
    store.write(
        "trials", "failed", [{"trial": "failed", "state": "finished", "ended_at": BEGAN - timedelta(minutes=1)}]
    )
    end(session(store)[0])
    assert diary.told[5:] == ["start failed", "1 pictures failed", "end failed"]


def test_one_that_fails_is_said_once_and_told_the_rest_by_the_next_session(diary, tmp_path):
    store, diary.fails_at = filled(tmp_path), "end finished"
    made, said = session(store)
    made.trial_start({"trial": "late"})
    end(made)
    assert said.getvalue().count("diary failed in study_start (OSError: no room on s3://***@bucket/x)") == 1
    assert "the study goes on" in said.getvalue() and "secret" not in said.getvalue()
    diary.told.clear()
    diary.fails_at = ""
    end(session(store)[0])
    assert diary.told == ["start finished", "1 pictures finished", "end finished"]


def test_one_that_hangs_is_not_waited_for(diary, tmp_path, monkeypatch):
    monkeypatch.setattr(tracking, "WAIT_FOR_S", 0.01)
    monkeypatch.setattr(tracking, "GRACE_S", 0.01)
    diary.gate.clear()
    made, said = session(filled(tmp_path))
    made.trial_start({"trial": "late"})
    made.study_end(STUDY)  # which returns although the gate stays closed
    assert made.thread.is_alive() and not diary.told
    assert "diary is too slow, and is waited for no more" in said.getvalue()
    diary.gate.set()
    made.thread.join()
    assert "start late" in diary.told


def test_a_tracker_that_is_not_known_or_not_installed_is_said_at_once(diary):
    with pytest.raises(UserError, match=r"unknown tracker 'tensorbord'. Did you mean 'tensorboard'\?"):
        StudyOptions(track=("tensorbord",))
    diary.needs = "no_such_module"
    with pytest.raises(UserError, match=r"pip install 'evae\[diary\]'"):
        StudyOptions(track=("diary",))
