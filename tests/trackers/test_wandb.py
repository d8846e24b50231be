"""Weights & Biases without a key and without a network: its files hold what the store has."""

import json
import os
import struct
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from telling import Session, emptied, ended

from evae.trackers.wandb import PROJECT

pytestmark = pytest.mark.skipif(not find_spec("wandb"), reason="needs wandb: pip install 'evae[wandb]'")
BLOCK = 32768
KEY = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def nobody(tmp_path, monkeypatch):
    """No key, no settings of whoever runs the tests, and no way to a server."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "home" / "netrc"))
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")


def records(folder: Path, trial: str) -> list[Any]:
    """The records of a run's files, in order."""
    from wandb.proto.wandb_internal_pb2 import Record

    paths = sorted((folder / "my study" / "wandb").glob(f"offline-run-*-my_study-{trial}/*.wandb"))
    return [Record.FromString(data) for path in paths for data in logged(path.read_bytes())]


def logged(file: bytes) -> Iterator[bytes]:
    """The entries of a file in LevelDB's log format, which begins with 7 bytes of W&B's own."""
    assert file.startswith(b":W&B")
    place, entry = 7, b""
    while place + 7 < len(file):
        if (left := BLOCK - place % BLOCK) < 7:
            place += left
            continue
        _, size, part = struct.unpack_from("<IHB", file, place)
        entry += file[place + 7 : place + 7 + size]
        place += 7 + size
        if part in (1, 4):  # a whole one, and the last part of one
            yield entry
            entry = b""


def history(found: list[Any]) -> dict[int, dict[str, Any]]:
    """What was logged, by step."""
    steps: dict[int, dict[str, Any]] = {}
    for record in found:
        if record.WhichOneof("record_type") == "history":
            items = {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
            steps.setdefault(items["_step"], {}).update(items)
    return steps


def test_an_offline_run_for_each_trial_in_a_group_of_the_studys_name(tmp_path):
    store = emptied(tmp_path)
    ended(store, 0), ended(store, 1, "failed")
    session = Session(store, "wandb")
    row, epochs = ended(store, 2, before=False)
    session.tell(row, epochs)
    session.tracking.trial_end(row)
    said = session.end()
    assert said.count("no key of Weights & Biases") == 1 and "failed" not in said, said
    for seed in (0, 2):
        found = records(tmp_path, f"abc-s{seed}")
        run = next(record.run for record in found if record.WhichOneof("record_type") == "run")
        assert (run.display_name, run.run_group, run.project) == (f"abc-s{seed}", "my study", PROJECT)
        config = {item.key: json.loads(item.value_json) for item in run.config.update}
        assert (config["beta"], config["seed"], config["label"]) == (0.5, seed, "mine, 100 %")
        steps = history(found)
        assert [steps[n]["epoch/train_loss_nats"] for n in (1, 2, 3)] == [9.0 - seed, 8.0 - seed, 7.0 - seed]
        assert steps[3]["test/rec_fd"] == 2.5 + seed and any(key.startswith("pictures/sampled") for key in steps[3])
    exits = {n: [r.exit.exit_code for r in records(tmp_path, f"abc-s{n}") if r.HasField("exit")] for n in (0, 1)}
    assert exits == {0: [0], 1: [1]}


def test_a_server_that_does_not_answer_leaves_files(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    store = emptied(tmp_path)
    ended(store, 0)
    said = Session(store, "wandb").end()
    assert said.count("http://127.0.0.1:9 does not answer") == 1
    assert history(records(tmp_path, "abc-s0"))[3]["test/rec_fd"] == 2.5
    # Nothing that is kept has the key.
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files and not [path for path in files if KEY.encode() in path.read_bytes()]
