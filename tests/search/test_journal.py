"""The study as Optuna's tools see it: live, after the end, after a kill, and after what can happen to a file."""

from collections import Counter
from pathlib import Path

import optuna
import pytest
from driving import drive, good, searcher, straight
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from evae.results.store import Store
from evae.search.journal import Journal, mend


@pytest.fixture
def store(tmp_path) -> Store:
    made = Store(tmp_path / "a")
    made.prepare()
    return made


def path(store: Store) -> Path:
    return Path(store.path("optuna", "journal.log"))


def opened(store: Store) -> optuna.Study:
    """As in a notebook."""
    return optuna.load_study(study_name="a", storage=JournalStorage(JournalFileBackend(str(path(store)))))


def seen(study: optuna.Study) -> list[tuple]:
    return [(t.params, t.values, t.state) for t in study.get_trials() if t.state != TrialState.WAITING]


def test_a_notebook_sees_what_the_search_saw(store):
    search = searcher(total=8)
    with Journal(store, "a", search):
        drive(search)
    assert seen(opened(store)) == seen(search.study)
    study = opened(store)
    assert [d.name for d in study.directions] == ["MINIMIZE", "MAXIMIZE"]
    assert study.metric_names == ["val_a", "val_b"]
    assert study.trials[0].user_attrs["label"] == "one" and study.trials[0].user_attrs["origin"] == "control"
    assert {t.user_attrs["configuration"] for t in study.trials} == set(search.configurations)


def test_it_can_be_read_while_the_search_goes_on(store):
    search = searcher(total=4)
    with Journal(store, "a", search):
        jobs = [search.suggest(f"t{i}") for i in range(3)]
        search.on_trial_complete("t0", good(jobs[0]))
        assert [t.state for t in opened(store).trials] == [TrialState.COMPLETE, TrialState.RUNNING, TrialState.RUNNING]
    assert Counter(t.state for t in opened(store).trials) == {TrialState.COMPLETE: 1, TrialState.FAIL: 2}


def test_an_error_leaves_nothing_running(store):
    search = searcher(total=4)
    with pytest.raises(KeyboardInterrupt), Journal(store, "a", search):
        search.suggest("t0")
        raise KeyboardInterrupt
    assert [t.state for t in opened(store).trials] == [TrialState.FAIL]


def killed(store: Store) -> list[dict]:
    """A session of three ended trials and two under way whose driver was killed; the rows of the ended ones."""
    search = searcher(total=8)
    journal = Journal(store, "a", search)
    journal.__enter__()
    rows = drive(search, limit=3)
    search.suggest("t3"), search.suggest("t4")
    return rows


def test_what_a_killed_driver_left_running_is_failed_once_and_goes_on_as_new_trials(store):
    rows = killed(store)
    assert Counter(t.state for t in opened(store).trials)[TrialState.RUNNING] == 2
    search = searcher(total=8, history=rows)
    with Journal(store, "a", search):
        drive(search)
    assert Counter(t.state for t in opened(store).trials) == {TrialState.COMPLETE: 8, TrialState.FAIL: 2}


def test_sessions_add_nothing_twice(store):
    rows = []
    for total in (3, 5, 5, 6):
        search = searcher(total=total, history=rows)
        with Journal(store, "a", search):
            rows += drive(search)
    assert seen(opened(store)) == seen(search.study)


@pytest.mark.parametrize("cut", [1, 7, 60])
def test_a_journal_cut_off_in_a_line_is_mended(store, cut):
    rows = killed(store)
    path(store).write_bytes(path(store).read_bytes()[:-cut])
    search = searcher(total=8, history=rows)
    with Journal(store, "a", search):
        drive(search)
    assert Counter(t.state for t in opened(store).trials)[TrialState.COMPLETE] == 8
    assert not list(path(store).parent.glob("*.unreadable"))


@pytest.mark.parametrize("damage", ["lost", "garbled", "empty", "truncated to its first line"])
def test_a_journal_that_is_lost_is_made_anew_from_the_store(store, damage):
    rows = killed(store)
    text = path(store).read_bytes()
    if damage == "lost":
        path(store).unlink()
    else:
        kept = {"garbled": text[:300] + b"\0garbled\n" + text[300:], "empty": b""}
        path(store).write_bytes(kept.get(damage, text[: text.index(b"\n") + 1]))
    search = searcher(total=8, history=rows)
    with Journal(store, "a", search):
        drive(search)
    states = Counter(t.state for t in opened(store).trials)
    assert states[TrialState.COMPLETE] == 8 and states[TrialState.RUNNING] == 0
    assert path(store).with_name("journal.log.unreadable").exists() == (damage == "garbled")


def test_a_journal_that_cannot_be_written_costs_no_trial_and_is_completed_later(store):
    search = searcher(total=6)
    with Journal(store, "a", search):
        drive(search, limit=2)
        folder, away = path(store).parent, path(store).parent.with_name("away")
        folder.rename(away)
        assert len(drive(search)) == 4
        away.rename(folder)
    assert Counter(t.state for t in opened(store).trials) == {TrialState.COMPLETE: 6}


def test_an_object_store_gets_a_copy_at_the_end(store, monkeypatch):
    monkeypatch.setattr(Store, "is_local", False)
    rows = []
    for total in (3, 6):
        search = searcher(total=total, history=rows)
        with Journal(store, "a", search):
            rows += drive(search)
    assert seen(opened(store)) == seen(search.study)


def test_a_race_leaves_every_configuration_told_once(store):
    search = searcher(total=12, seeds=3, sampler="random", race=True)
    with Journal(store, "a", search):
        drive(search, straight)
    assert len(opened(store).trials) == 12


@pytest.mark.parametrize(
    ("text", "left"), [(b"", b""), (b"a\n", b"a\n"), (b"a\nb", b"a\n"), (b"no line", b"")], ids=str
)
def test_mending_removes_the_broken_line_and_nothing_else(tmp_path, text, left):
    file = tmp_path / "journal.log"
    file.write_bytes(text)
    mend(file)
    assert file.read_bytes() == left
    mend(tmp_path / "none")
