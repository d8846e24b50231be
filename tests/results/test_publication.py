"""What is published of a study: all that a report needs, and nothing of whose machine it ran on."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from evae.errors import UserError
from evae.results.publication import publish
from evae.results.store import Store, StoreError

SESSION = "20260101T000000000000Z"
OPTIONS = {
    "name": "mine",
    "results": "/home/me/results",
    "data": "folder:/home/me/faces",
    "address": "auto",
    "epochs": 3,
}
PRIVATE = (b"/home/me", b"me-laptop", b"s3cret", b"elsewhere")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "results" / "mine")
    made.prepare()
    made.write("study", SESSION, [manifest()])
    for number in range(3):
        trial = f"c{number}-s0"
        row = {
            "trial": trial,
            "configuration": f"c{number}",
            "state": "finished",
            "slot": f"me-laptop:{40 + number % 2}",
        }
        row |= {"recipe": json.dumps({"data": {"source": "folder:/home/me/faces"}}), "gen_fd": 1.5 + number}
        row |= {"reason": "cannot read /home/me/faces/one.png" if number else None, "traceback": "in /home/me/evae"}
        row |= {"taken_from": "s3://elsewhere:s3cret@bucket/pool" if number else None, "started_at": datetime.now(UTC)}
        made.write("trials", trial, [row])
        made.write("epochs", trial, [{"trial": trial, "epoch": epoch, "train_s": 0.5} for epoch in (1, 2)])
        made.write("images", trial, [{"trial": trial, "kind": "samples", "png": b"x"}])
    made.write_bytes("weights", "c0-s0.safetensors", b"weights")
    return made


def manifest() -> dict:
    command = (
        "python /home/me/evae/studies/kernel_sweep.py --pool /home/me/a b --data folder:/home/me/faces --results=x"
    )
    return {
        **{"session": SESSION, "study": "mine", "command": command, "options": json.dumps(OPTIONS)},
        **{"hardware": json.dumps({"hostname": "me-laptop", "cores": 2}), "claims": '[{"text": "A < 0.9 * B / 2"}]'},
    }


def test_rows_stay_and_weights_pictures_places_and_names_of_machines_do_not(store, tmp_path):
    target, nbytes = publish(store, tmp_path / "published")
    assert target == tmp_path / "published" / "mine" and {each.name for each in target.iterdir()} == {
        *("study", "trials", "epochs")
    }
    there = Store(target)
    assert [row["gen_fd"] for row in there.rows("trials")] == [1.5, 2.5, 3.5] and len(there.rows("epochs")) == 6
    (session,) = there.rows("study")
    assert session["command"] == "python kernel_sweep.py --data folder:faces"
    assert json.loads(session["options"]) == {"name": "mine", "data": "folder:faces", "epochs": 3}
    assert json.loads(session["hardware"]) == {"cores": 2} and session["claims"] == manifest()["claims"]
    trials = there.rows("trials")
    assert [row["slot"] for row in trials] == ["slot 1", "slot 2", "slot 1"]
    assert [row["reason"] for row in trials] == [None, "cannot read one.png", "cannot read one.png"]
    assert [row["taken_from"] for row in trials] == [None, "pool", "pool"]
    texts = [str(row).encode() for kind in ("study", "trials", "epochs") for row in there.rows(kind)]
    assert not [word for word in PRIVATE for text in texts if word in text]
    assert nbytes == sum(file.stat().st_size for file in target.rglob("*.parquet")) > 0


def test_what_was_published_is_replaced_and_nothing_else_is(store, tmp_path):
    first, _ = publish(store, tmp_path)
    (first / "report.html").write_text("made of them")
    store.write("trials", "c9-s0", [{"trial": "c9-s0", "configuration": "c9", "state": "finished"}])
    target, _ = publish(store, tmp_path)
    assert len(Store(target).rows("trials")) == 4 and [each.name for each in tmp_path.iterdir() if each != target] == [
        "results"
    ]
    with pytest.raises(UserError, match="holds more than what is published"):
        publish(store, tmp_path / "results")
    assert store.read_bytes("weights", "c0-s0.safetensors") == b"weights"


def test_what_cannot_be_read_or_is_not_there_is_not_published(store, tmp_path):
    Path(store.path("trials", "c1-s0.parquet")).write_bytes(b"half")
    with pytest.raises(StoreError, match=r"c1-s0.*cannot be read"):
        publish(store, tmp_path / "published")
    with pytest.raises(UserError, match="no study"):
        publish(Store(tmp_path / "nothing"), tmp_path / "published")
    assert not (tmp_path / "published").exists()
    file = tmp_path / "file"
    file.write_text("")
    Path(store.path("trials", "c1-s0.parquet")).unlink()
    with pytest.raises(StoreError, match="cannot write"):
        publish(store, file)
