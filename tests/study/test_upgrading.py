"""A store of version 0.1.0 brought to the present layout: what can be known is filled in, and nothing is changed."""

import hashlib
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from running import ROOT

from evae.errors import UserError
from evae.results.lock import sole_driver
from evae.results.store import SCHEMA_VERSION, Store, StoreError
from evae.study.upgrading import changes, upgrade

KEYS = {"study": "session", "trials": "trial"}
EARLIER = ROOT / "tests" / "earlier" / "store"


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(shutil.copytree(EARLIER, tmp_path / "of-0.1.0"))


def contents(store: Store) -> dict[str, str]:
    return {
        str(file.relative_to(store.root)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in Path(store.root).rglob("*")
        if file.is_file() and file.name != ".lock"
    }


def said(store: Store, apply: bool) -> str:
    console = Console(file=io.StringIO(), width=200)
    upgrade(store, console, apply)
    return console.file.getvalue()


def test_without_apply_it_is_said_and_nothing_is_changed(store):
    before = contents(store)
    text = said(store, apply=False)
    assert "trials: role, in 10 file(s)" in text and "study: claims, in 1 file(s)" in text
    assert "stays empty in 10 trial(s): identity, numerics, processor" in text and "--apply" in text
    assert contents(store) == before


def test_rows_get_what_can_be_known_and_keep_all_they_had(store):
    before = {kind: {row[key]: row for row in store.rows(kind)} for kind, key in KEYS.items()}
    files = contents(store)
    said(store, apply=True)
    (session,) = store.rows("study")
    for row in store.rows("trials"):
        assert row["role"] == "search" and row["data_digest"] == json.loads(session["identity"])["data digest"]
        assert row["plugins"] == "{}" and row.get("identity") is None and row.get("numerics") is None
    assert session["schema_version"] == SCHEMA_VERSION and session["claims"] == "[]" and session["metrics"] == "{}"
    for kind, key in KEYS.items():
        for row in store.rows(kind):
            had = {n: v for n, v in before[kind][row[key]].items() if v is not None and n != "schema_version"}
            assert {name: row[name] for name in had} == had
    same = {name for name, digest in contents(store).items() if files.get(name) == digest}
    assert {name.split("/")[0] for name in files.keys() - same} == {"study", "trials"}


def test_what_is_upgraded_needs_no_more(store):
    said(store, apply=True)
    before = contents(store)
    assert "already" in said(store, apply=True) and contents(store) == before


@pytest.mark.parametrize("written", range(11))
def test_stopped_anywhere_it_loses_nothing_and_goes_on(store, monkeypatch, written):
    whole = Store(shutil.copytree(EARLIER, Path(store.root).parent / "whole"))
    said(whole, apply=True)
    real, left = Store.write, [written]

    def write(self, kind, key, rows):
        if not left[0]:
            raise StoreError("the disk is full")
        left[0] -= 1
        real(self, kind, key, rows)

    monkeypatch.setattr(Store, "write", write)
    with pytest.raises(StoreError, match="full"):
        said(store, apply=True)
    monkeypatch.undo()
    assert len(store.rows("trials")) == 10 and len(changes(store)) == 11 - written
    said(store, apply=True)
    for kind in KEYS:
        assert store.rows(kind) == whole.rows(kind)


def test_many_small_files_become_a_few(store):
    rows = {row["trial"]: row for row in store.rows("trials")}
    for number in range(70):
        trial = f"{number:012x}-s0"
        store.write("trials", trial, [next(iter(rows.values())) | {"trial": trial}])
    assert "80 small files have become a few" in said(store, apply=True)
    assert len(store.rows("trials")) == 80 and not changes(store)
    assert {row["role"] for row in store.rows("trials")} == {"search"}


def test_plug_ins_that_changed_between_sessions_are_not_guessed(store):
    (session,) = store.rows("study")
    later = json.loads(session["identity"]) | {"plug-ins": {"mine": "1234"}}
    store.write("study", "later", [session | {"session": "later", "identity": json.dumps(later)}])
    assert {name for change in changes(store) for name in change.values if change.kind == "trials"} == {
        "role",
        "data_digest",
    }


def test_a_study_at_work_and_a_newer_layout_are_left_alone(store):
    with sole_driver(store), pytest.raises(UserError, match="in use"):
        said(store, apply=True)
    (session,) = store.rows("study")
    store.write("study", session["session"], [session | {"schema_version": SCHEMA_VERSION + 1}])
    with pytest.raises(UserError, match="take a newer one"):
        said(store, apply=True)


def test_what_is_no_study_is_an_error(tmp_path, store):
    with pytest.raises(UserError, match="no study in"):
        said(Store(tmp_path / "nothing"), apply=True)
    (session,) = store.rows("study")
    store.write("study", session["session"], [session | {"identity": "{}"}])
    with pytest.raises(StoreError, match="does not say what the study is"):
        said(store, apply=True)


def test_from_the_shell(store):
    def run(*options: str) -> str:
        command = [sys.executable, "-m", "evae.upgrade", store.root, *options]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "role, in 10 file(s)" in run() and "role, in 10 file(s)" in run("--apply") and "already" in run()
