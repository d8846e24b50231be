"""Studies whose trials are trained by worker groups of two workers, in processes of their own."""

import os
import re
import signal
import subprocess
from collections import Counter

import pytest
from running import Study, ended, processes
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
    assert max(rows, key=lambda row: row["launch_s"]) is rows[0]  # the only one that waits for processes to start


def members(process: subprocess.Popen, name: str) -> list[int]:
    return [pid for pid, command in processes(process.pid).items() if re.search(name, command)]


def kill_in_the_second_trial(study: Study, name: str) -> dict[str, int]:
    """How often each state occurs at the end of a study that lost one process of this name in its second trial."""
    process = study.start()
    study.wait_until(lambda: len(study.rows()) >= 2, "no second trial")
    os.kill(study.wait_until(lambda: members(process, name), "no such process")[0], signal.SIGKILL)
    status, said = ended(process)
    assert status == 0, said
    return Counter(study.states().values())


def test_kill_nine_of_a_worker_costs_no_trial(tmp_path):
    study = Study(tmp_path, workers_per_trial=2, epochs=6, train_images=1000)
    assert kill_in_the_second_trial(study, "RayTrainWorker") == {"finished": 4}


def test_kill_nine_of_the_leader_costs_no_trial(tmp_path):
    study = Study(tmp_path, workers_per_trial=2, epochs=6, train_images=1000)
    assert kill_in_the_second_trial(study, "ResourceTrainable") == {"finished": 4}
    assert sorted(row["restarts"] for row in study.rows()) == [0, 0, 0, 1]
