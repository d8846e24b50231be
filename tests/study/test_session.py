"""A study whose trials another one has trained: it needs no machines, and whoever follows it hears of them."""

import io
from pathlib import Path
from typing import ClassVar

import pytest
from pooled import job_of, trained
from rich.console import Console

from evae import data
from evae.callbacks import Callback, callback
from evae.errors import UserError
from evae.results.store import Store
from evae.search.journal import FILE, FOLDER
from evae.study import session
from evae.study.run import run_study
from evae.trackers import Tracker, tracker
from studies.kernel_sweep import KernelSweep


def options(results: Path, name: str, **more) -> KernelSweep:
    small = {"data": "points:arc", "latent": 2, "epochs": 2, "size": "tiny", "trials": 3, "confirm": 0}
    return KernelSweep(**small | {"results": str(results), "name": name} | more)


def run(given: KernelSweep) -> str:
    console = Console(file=io.StringIO(), width=1000)
    run_study("Which?", given, console)
    return console.file.getvalue()


@pytest.fixture(scope="module")
def theirs(tmp_path_factory) -> Path:
    """Results with a study that has the first three of its controls."""
    results = tmp_path_factory.mktemp("results")
    given = options(results, "theirs")
    base = given.base_recipe()
    images, store = data.load(base.data), Store(given.location)
    store.prepare()
    for recipe in given.space.recipes(base)[:3]:
        trained(store, images, dict.fromkeys(("validation", "test")), job_of(recipe), "theirs")
    return results


@pytest.fixture
def no_ray(monkeypatch):
    def refuse(*_: object) -> None:
        raise UserError("Ray was to be started")

    monkeypatch.setattr(session, "ray_session", refuse)


@pytest.fixture
def diary():
    """Callbacks that write down what they are told: as one is, and as a tracker is, from one session to the next."""

    class Diary(Callback):
        told: ClassVar[list[tuple]] = []

        def trial_start(self, trial):
            self.told.append(("start", trial["trial"], trial["epochs"]))

        def epoch(self, trial, epoch):
            self.told.append(("epoch", trial["trial"], epoch["epoch"]))

        def trial_end(self, trial):
            self.told.append(("end", trial["trial"], trial["state"], trial["taken_study"]))

    class Tracked(Tracker):
        told: ClassVar[list[tuple]] = []
        trial_start, epoch, trial_end = Diary.trial_start, Diary.epoch, Diary.trial_end

    callback.add("Diary", Diary)
    tracker.add("tracked", Tracked)
    yield Diary.told, Tracked.told
    del callback.entries["Diary"], tracker.entries["tracked"]


def test_where_all_is_taken_no_machine_is_needed_and_all_is_told_once(theirs, no_ray, diary):
    said = run(options(theirs, "mine", track=("tracked",)))
    store = Store(theirs / "mine")
    rows = store.rows("trials")
    assert "3 of 3 trials: 3 finished" in said and "3 trials were taken from study theirs" in said
    assert len(rows) == 3 and all(row["taken_study"] == "theirs" for row in rows)
    (row,) = store.rows("study")
    assert row["state"] == "finished" and row["slots"] is None and row["wall_s"] > 0 and row["hardware"]
    assert store.read_bytes(FOLDER, FILE).count(b"taken from study theirs") == 3
    for told in diary:
        assert len(told) == 12 and sorted(told) == sorted(
            each
            for row in rows
            for each in (
                ("start", row["trial"], 0),
                *(("epoch", row["trial"], number) for number in (1, 2)),
                ("end", row["trial"], "finished", "theirs"),
            )
        )
        assert [what for what, *_ in told] == ["start", "epoch", "epoch", "end"] * 3
    # Nor is one needed where nothing is left to be done.
    assert "3 of 3 trials: 3 finished" in run(options(theirs, "mine", track=("tracked",)))
    assert [len(told) for told in diary] == [12, 12] and len(store.rows("study")) == 2


def test_where_one_is_missing_ray_is_started_and_what_was_taken_stays(theirs, no_ray):
    with pytest.raises(UserError, match="Ray was to be started"):
        run(options(theirs, "more", trials=4))
    store = Store(theirs / "more")
    assert len(store.rows("trials")) == 3 and [row["state"] for row in store.rows("study")] == ["failed"]


def test_a_session_that_ends_before_there_is_a_trial_leaves_no_row(theirs, no_ray):
    given = options(theirs, "alone", pool=("none",))
    for _ in range(2):
        with pytest.raises(UserError, match="Ray was to be started"):
            run(given)
        assert not Store(given.location).rows("study")
    # The name is free for another study.
    assert "3 trials were taken" in run(options(theirs, "alone"))
    with pytest.raises(UserError, match="Ray was to be started"):
        run(options(theirs, "alone", extend=True, trials=5))
    assert "3 of 3 trials" in run(options(theirs, "alone")) and len(Store(given.location).rows("study")) == 2


def test_a_dry_run_costs_the_rest_alone(theirs):
    said = run(options(theirs, "planned", dry_run=True))
    assert "of 3 trials, 3 will be taken from the pool\ndry run: nothing is to be trained or measured" in said
    said = run(options(theirs, "planned", dry_run=True, seeds=2))
    assert "of 6 trials, 3 will be taken from the pool\ndry run: about 3 trials x " in said
    assert not (theirs / "planned").exists()
