"""Studies whose trials are trained by gangs of two workers, in processes of their own."""

import os
import re
import signal

import pytest
from running import Study, ended, processes, wait_until
from test_study import NOISE

pytestmark = pytest.mark.slow


def test_a_study_of_gangs_says_and_leaves_what_any_study_does(tmp_path):
    study = Study(tmp_path, workers_per_trial=2)
    status, said = study.run()
    assert status == 0, said
    assert [line for line in said.replace(str(tmp_path), "").splitlines() if NOISE.search(line)] == []
    rows = sorted(study.rows(), key=lambda row: row["started_at"])
    assert [row["state"] for row in rows] == ["finished"] * 4
    assert {row["workers"] for row in rows} == {2} and len({row["slot"] for row in rows}) == 1
    # Only the first trial waits for processes to start.
    assert max(row["launch_s"] for row in rows[1:]) < rows[0]["launch_s"] / 5


def test_kill_nine_of_a_worker_changes_nothing_and_of_the_leader_costs_one_trial(tmp_path):
    study = Study(tmp_path, workers_per_trial=2, epochs=6, train_images=1000)
    process = study.start()

    def member(name: str) -> list[int]:
        return [pid for pid, command in processes(process.pid).items() if re.search(name, command)]

    def epochs() -> int:
        return len(study.rows("trials"))

    wait_until(lambda: epochs() >= 2, "no second trial")
    os.kill(wait_until(lambda: member("RayTrainWorker"), "no worker")[0], signal.SIGKILL)
    wait_until(lambda: epochs() >= 3, "the study did not go on after a worker died")
    os.kill(wait_until(lambda: member("Trainable"), "no leader")[0], signal.SIGKILL)
    status, said = ended(process)
    assert status == 0, said
    states = sorted(study.states().values())
    assert states == ["failed", "finished", "finished", "finished"], said
    (lost,) = [row for row in study.rows() if row["state"] == "failed"]
    assert "died" in lost["reason"]
