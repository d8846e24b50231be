"""Studies on a cluster of several nodes, simulated on this machine, while nodes die and join."""

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from joining import ray_start
from ray.cluster_utils import Cluster
from ray.util import get_node_ip_address
from ray.util.placement_group import placement_group_table
from running import Study, ended, processes, wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A head that leads and trains nothing."""
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    yield made
    made.shutdown()


GROWING = {
    "cluster_name": "growing",
    "max_workers": 2,
    "provider": {"type": "fake_multinode", "use_node_id_as_ip": True, "launch_multiple": True},
    "available_node_types": {
        "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
        "worker": {"resources": {"CPU": 1}, "node_config": {}, "min_workers": 0, "max_workers": 2},
    },
    "head_node_type": "ray.head.default",
    "upscaling_speed": 1.0,
    "idle_timeout_minutes": 5,
    **{key: {} for key in ("auth", "file_mounts", "docker")},
    **{key: [] for key in ("cluster_synced_files", "rsync_exclude", "rsync_filter", "initialization_commands")},
    **{f"{kind}setup_commands": [] for kind in ("", "head_", "worker_")},
    **{f"{kind}_start_ray_commands": [] for kind in ("head", "worker")},
    "file_mounts_sync_continuously": False,
}
"""What Ray's autoscaler reads on a head, complete; its machines are processes here."""
HEAD = "f" * 51 + "00000"
"""How those machines call their head."""


@pytest.fixture
def growing(tmp_path, monkeypatch) -> Iterator[str]:
    """The address of a head whose autoscaler starts up to two nodes of one core, here on this machine, when needed."""
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"{get_node_ip_address()}:{port}"
    config = GROWING | {"provider": GROWING["provider"] | {"gcs_address": address}}
    (tmp_path / "growing.json").write_text(json.dumps(config))
    options = ("--block", f"--port={port}", "--num-cpus=0", "--include-dashboard=false")
    environment = {
        "RAY_enable_autoscaler_v2": "0",
        "RAY_FAKE_CLUSTER": "1",
        "RAY_OVERRIDE_NODE_ID_FOR_TESTING": HEAD,
        "AUTOSCALER_UPDATE_INTERVAL_S": "1",
    }
    command = [Path(sys.executable).with_name("ray"), "start", "--head", *options]
    with open(tmp_path / "log", "wb") as log:
        head = subprocess.Popen(
            [*command, f"--autoscaling-config={tmp_path / 'growing.json'}"],
            env=os.environ | environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_until(lambda: any("monitor.py" in line for line in processes(head.pid).values()), "no autoscaler")
        yield address
    finally:
        while left := processes(head.pid):
            for process in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
        head.wait()


def study_on(cluster: Cluster, folder, **options) -> Study:
    return Study(folder, **{"address": cluster.address, "train_images": 1000, "epochs": 8, "trials": 3} | options)


def running(study: Study) -> list[str]:
    return [trial for trial, state in study.states().items() if state == "running"]


def assert_nothing_is_left(cluster: Cluster) -> None:
    ray.init(address=cluster.address, log_to_driver=False)
    try:
        wait_until(
            lambda: all(group["state"] == "REMOVED" for group in placement_group_table().values()),
            "a placement group is left behind",
        )
        free = wait_until(lambda: ray.available_resources().get("CPU"), "no cores")
        assert free == ray.cluster_resources()["CPU"]
    finally:
        ray.shutdown()


def test_a_node_that_joins_is_used_and_one_that_dies_costs_no_trial(cluster, tmp_path):
    cluster.add_node(num_cpus=1)
    study = study_on(cluster, tmp_path, epochs=30)
    process = study.start()
    study.wait_until(lambda: running(study), "nothing is trained")
    joined = cluster.add_node(num_cpus=1)
    study.wait_until(lambda: len(running(study)) == 2, "the node that joined is not used")
    cluster.remove_node(joined, allow_graceful=False)
    status, said = ended(process)
    assert status == 0 and "raylet" not in said, said
    assert "room for 2 trial(s)" in said and "starts again: " in said, said
    assert set(study.states().values()) == {"finished"} and len(study.rows()) == 3
    assert sum(row["restarts"] for row in study.rows()) == 1
    assert_nothing_is_left(cluster)


def test_a_node_that_dies_five_times_costs_no_trial_that_may_not_fail_once(cluster, tmp_path):
    node = cluster.add_node(num_cpus=1)
    study = study_on(cluster, tmp_path, epochs=30, trials=1, max_failures=0)
    process = study.start()
    for death in range(5):
        study.wait_until(lambda n=death: [r for r in study.rows() if r["restarts"] == n], "it is not trained")
        if death % 2:
            cluster.remove_node(node, allow_graceful=False)  # as without power
        else:
            os.kill(raylet(node), signal.SIGTERM)  # as a machine that shuts down
        node = cluster.add_node(num_cpus=1)
    status, said = ended(process)
    assert status == 0 and said.count("starts again: ") == 5, said
    assert {row["state"]: row["restarts"] for row in study.rows()} == {"finished": 5}
    assert_nothing_is_left(cluster)


def raylet(node: Any) -> int:
    (found,) = node.all_processes["raylet"]
    return found.process.pid


@pytest.mark.parametrize("workers", [1, 2])
def test_trials_leave_a_node_that_is_told_to_end_before_it_does(cluster, tmp_path, workers):
    for _ in range(workers - 1):
        cluster.add_node(num_cpus=1)
    own = (f"--address={cluster.address}", f"--node-ip-address={get_node_ip_address()}")
    with ray_start(*own, RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S="600") as node:
        study = study_on(cluster, tmp_path, epochs=60, trials=1, max_failures=0, workers_per_trial=workers)
        process = study.start()
        study.wait_until(lambda: study.rows("epochs"), "no epoch is done")
        node.terminate()
        cluster.add_node(num_cpus=1)
        node.wait()  # as soon as nothing runs there: in less than the ten minutes that it was given
    status, said = ended(process)
    assert status == 0, said
    (row,) = study.rows()
    assert (row["state"], row["restarts"]) == ("finished", 1)
    assert workers > 1 or "starts again: its machine is about to leave" in said, said
    assert sorted(e["epoch"] for e in study.rows("epochs")) == list(range(1, 61))


def test_a_worker_group_that_loses_a_node_waits_for_another_and_goes_on(cluster, tmp_path):
    _, second = cluster.add_node(num_cpus=1), cluster.add_node(num_cpus=1)
    study = study_on(cluster, tmp_path, workers_per_trial=2, max_failures=0)
    process = study.start()
    study.wait_until(lambda: len(study.rows()) == 2, "no second trial")
    cluster.remove_node(second, allow_graceful=False)
    cluster.add_node(num_cpus=1)
    status, said = ended(process)
    assert status == 0, said
    assert set(study.states().values()) == {"finished"} and len(study.rows()) == 3
    assert sum(row["restarts"] for row in study.rows()) == 1
    assert_nothing_is_left(cluster)


def test_kill_nine_of_the_driver_gives_everything_back_to_the_cluster(cluster, tmp_path):
    cluster.add_node(num_cpus=2)
    study = study_on(cluster, tmp_path, workers_per_trial=2)
    process = study.start()
    study.wait_until(lambda: len(study.rows()) == 2, "no second trial")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert_nothing_is_left(cluster)
    finished = {row["trial"]: row["ended_at"] for row in study.rows() if row["state"] == "finished"}
    status, said = study.run()
    assert status == 0, said
    rows = {row["trial"]: row for row in study.rows()}
    assert [row["state"] for row in rows.values()] == ["finished"] * 3
    assert {trial: rows[trial]["ended_at"] for trial in finished} == finished and finished


@pytest.mark.parametrize("workers", [1, 2])
def test_a_cluster_grows_from_nothing_to_what_the_study_may_use(growing, tmp_path, workers):
    options = {"address": growing, "workers_per_trial": workers, "trials_at_once": 2 // workers}
    study = Study(tmp_path, train_images=1000, epochs=8, trials=3, **options)
    status, said = study.run()
    assert status == 0, said
    assert "no machine has room for a trial yet" in said, said
    assert set(study.states().values()) == {"finished"} and len(study.rows()) == 3
    assert study.rows("study")[0]["slots"] > 0
