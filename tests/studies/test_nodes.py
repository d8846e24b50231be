"""Studies on a cluster of several nodes, simulated on this machine, while nodes die and join."""

import os
import signal
from collections.abc import Iterator

import pytest
import ray
from ray.cluster_utils import Cluster
from ray.util.placement_group import placement_group_table
from running import Study, ended, wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A head that leads and trains nothing."""
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    yield made
    made.shutdown()


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
            60,
        )
        free = wait_until(lambda: ray.available_resources().get("CPU"), "no cores", 60)
        assert free == ray.cluster_resources()["CPU"]
    finally:
        ray.shutdown()


def test_a_node_that_joins_is_used_and_one_that_dies_costs_no_trial(cluster, tmp_path):
    cluster.add_node(num_cpus=1)
    study = study_on(cluster, tmp_path, epochs=30)
    process = study.start()
    wait_until(lambda: running(study), "nothing is trained")
    joined = cluster.add_node(num_cpus=1)
    wait_until(lambda: len(running(study)) == 2, "the node that joined is not used")
    cluster.remove_node(joined, allow_graceful=False)
    status, said = ended(process)
    assert status == 0 and "raylet" not in said, said
    assert "room for 2 trial(s)" in said and "starts again: " in said, said
    assert set(study.states().values()) == {"finished"} and len(study.rows()) == 3
    assert sum(row["restarts"] for row in study.rows()) == 1
    assert_nothing_is_left(cluster)


def test_a_gang_that_loses_a_node_waits_for_another_and_goes_on(cluster, tmp_path):
    _, second = cluster.add_node(num_cpus=1), cluster.add_node(num_cpus=1)
    study = study_on(cluster, tmp_path, workers_per_trial=2)
    process = study.start()
    wait_until(lambda: len(study.rows()) == 2, "no second trial")
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
    wait_until(lambda: len(study.rows()) == 2, "no second trial")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert_nothing_is_left(cluster)
    finished = {row["trial"]: row["ended_at"] for row in study.rows() if row["state"] == "finished"}
    status, said = study.run()
    assert status == 0, said
    rows = {row["trial"]: row for row in study.rows()}
    assert [row["state"] for row in rows.values()] == ["finished"] * 3
    assert {trial: rows[trial]["ended_at"] for trial in finished} == finished and finished
