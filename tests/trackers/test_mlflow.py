"""MLflow: its own client finds in its database, and behind a server of its own, what the store has."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from later import Later
from running import wait_until
from telling import Session, emptied, ended

mlflow = Later("mlflow")

pytestmark = [
    pytest.mark.skipif(not find_spec("mlflow"), reason="needs mlflow: pip install 'evae[mlflow]'"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of MLflow's own use of SQLAlchemy
]


@pytest.fixture(autouse=True)
def nobody(monkeypatch):
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_USERNAME"):
        monkeypatch.delenv(name, raising=False)


def runs(uri: str) -> tuple["mlflow.MlflowClient", dict[str, "mlflow.entities.Run"]]:
    client = mlflow.MlflowClient(uri)
    experiment = client.get_experiment_by_name("my study")
    return client, {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}


def test_a_database_beside_the_results_when_no_server_is_named(tmp_path):
    store = emptied(tmp_path)
    ended(store, 0), ended(store, 1, "stopped"), ended(store, 2, "failed")
    assert "failed" not in Session(store, "mlflow").end()
    _, found = runs(f"sqlite:///{tmp_path / 'my study' / 'mlflow' / 'mlflow.db'}")
    states = {name: (run.info.status, run.data.tags["state"]) for name, run in found.items()}
    assert states == {
        "abc-s0": ("FINISHED", "finished"),
        "abc-s1": ("FINISHED", "stopped"),
        "abc-s2": ("FAILED", "failed"),
    }
    params = found["abc-s0"].data.params
    assert (params["beta"], params["kernel"], params["seed"], params["label"]) == ("0.5", "cosine", "0", "mine, 100 %")


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = ["--backend-store-uri", f"sqlite:///{folder}/m.db", "--artifacts-destination", str(folder / "artifacts")]
    command = [sys.executable, "-m", "mlflow", "server", *places, "--port", str(port), "--workers", "1"]
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_until(lambda: process.poll() is not None or answers(port), "MLflow's server does not start")
        assert process.poll() is None, (folder / "log").read_text()
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def answers(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.slow
def test_a_server_is_told_and_a_trial_that_goes_on_is_the_same_run(server, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    store = emptied(tmp_path)
    first = Session(store, "mlflow")
    row, epochs = ended(store, 0, before=False)
    first.tell(row, epochs[:2])
    first.end()
    _, found = runs(server)
    assert found["abc-s0"].info.status == "RUNNING"
    second = Session(store, "mlflow")
    second.tell(row, epochs[2:])
    second.tracking.trial_end(row)
    assert "failed" not in second.end()
    client, found = runs(server)
    (run,) = found.values()
    curve = client.get_metric_history(run.info.run_id, "epoch/train_loss_nats")
    assert [(each.step, each.value) for each in curve] == [(1, 9.0), (2, 8.0), (3, 7.0)]
    assert run.info.status == "FINISHED" and run.data.metrics["test/rec_fd"] == 2.5
    (picture,) = client.list_artifacts(run.info.run_id, "pictures")
    assert picture.path == "pictures/sampled.png" and not (tmp_path / "my study" / "mlflow").exists()
