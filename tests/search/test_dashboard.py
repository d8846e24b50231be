"""optuna-dashboard, as it is started, shows pictures and notes of what the search trained."""

import io
import json
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from driving import drive, good, searcher
from optuna.artifacts import get_all_artifact_meta
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from PIL import Image
from running import wait_until

from evae.results.store import Store
from evae.search.journal import Journal
from evae.search.shown import artifacts

GREY = {"real": 50, "reconstructed": 100, "sampled": 150, "sampled_xpd_mixture": 200, "perturbed": 250}


@pytest.fixture(scope="module")
def studied(tmp_path_factory) -> tuple[Store, list[dict[str, Any]]]:
    """The store of four configurations, one of them lost, and the rows of their trials."""
    store = Store(tmp_path_factory.mktemp("dashboard") / "a")
    store.prepare()
    search = searcher(total=4)

    def score(job) -> dict[str, Any]:
        rows = [{"trial": job.trial, "kind": kind, "rows": 4, "png": grid(grey)} for kind, grey in GREY.items()]
        store.write("images", job.trial, rows)
        return good(job) if job.number != 2 else {"state": "failed", "reason": "no *memory*"}

    with Journal(store, "a", search):
        rows = drive(search, score)
    return store, rows


def grid(grey: int) -> bytes:
    """Four rows of eight tiles."""
    buffer = io.BytesIO()
    Image.new("L", (256, 128), grey).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def dashboard(studied) -> Iterator[str]:
    store, _ = studied
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = [store.path("optuna", "journal.log"), "--artifact-dir", store.path("optuna", "artifacts")]
    program = "import sys; from optuna_dashboard._cli import main; sys.exit(main())"
    command = [sys.executable, "-W", "ignore", "-c", program, *places, "--port", str(port), "--quiet"]
    process = subprocess.Popen([*command, "--server", "wsgiref"])
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        with socket.socket() as tried:
            return tried.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait_until(lambda: process.poll() is not None or answers(), "optuna-dashboard does not start")
        yield url
    finally:
        process.terminate()
        process.wait()


def get(url: str) -> bytes:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(url) as answer:
        return answer.read()


def test_it_shows_pictures_and_notes(dashboard):
    (summary,) = json.loads(get(f"{dashboard}/api/studies"))["study_summaries"]
    study = summary["study_id"]
    detail = json.loads(get(f"{dashboard}/api/studies/{study}?after=0"))
    by_number = {trial["number"]: trial for trial in detail["trials"]}
    assert [len(by_number[n]["artifacts"]) for n in range(4)] == [3, 3, 0, 3]
    pictures = {}
    for artifact in by_number[0]["artifacts"]:
        address = f"{dashboard}/artifacts/{study}/{by_number[0]['trial_id']}/{artifact['artifact_id']}"
        pictures[artifact["filename"]] = Image.open(io.BytesIO(get(address)))
    assert {name: picture.size for name, picture in pictures.items()} == {
        "reconstructed.png": (256, 64),
        "sampled.png": (256, 64),
        "sampled_xpd_mixture.png": (256, 64),
    }
    strip = pictures["reconstructed.png"]
    assert [strip.getpixel((0, y)) for y in (0, 63)] == [GREY["real"], GREY["reconstructed"]]
    assert "**one** (control)" in by_number[0]["note"]["body"]
    assert "failed: no *memory*" in by_number[2]["note"]["body"]


def test_a_journal_that_is_lost_is_made_anew_with_the_same_pictures(studied):
    store, rows = studied
    before, files = named(store), set(store.sizes("optuna/artifacts", ""))
    assert set().union(*before) == files and list(map(len, before)) == [3, 3, 0, 3]
    store.delete_bytes("optuna", "journal.log")
    with Journal(store, "a", searcher(total=4, history=rows)):
        pass
    assert named(store) == before and set(store.sizes("optuna/artifacts", "")) == files


@pytest.mark.parametrize("wrong", [{"kind": None}, {"png": None}, {"png": b"none"}, {"rows": "many"}], ids=str)
def test_pictures_of_a_trial_of_anybody_s_that_cannot_be_shown_are_left_out(tmp_path, wrong):
    store = Store(tmp_path)
    store.prepare()
    store.write("images", "x-s0", [{"kind": "sampled", "rows": 4, "png": grid(9)} | wrong])
    assert artifacts(store, SimpleNamespace(key="x", ended={0: {"state": "finished"}})) == {}


def named(store: Store) -> list[set[str]]:
    """The pictures of each trial in the journal, by Optuna's own reading."""
    storage = JournalStorage(JournalFileBackend(store.path("optuna", "journal.log")))
    study = optuna.load_study(study_name="a", storage=storage)
    return [{meta.artifact_id for meta in get_all_artifact_meta(trial, storage=storage)} for trial in study.trials]
