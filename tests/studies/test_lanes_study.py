"""Studies whose trials share processes, three to each, on CPUs: what they leave, and what it costs to kill parts."""

import os
import re
import signal
import subprocess
from collections import Counter
from typing import Any

import pytest
from running import Study, ended, processes, wait_until
from test_study import NOISE

pytestmark = pytest.mark.slow
LONG = {"lanes": 3, "epochs": 8, "train_images": 1000}


def numbers(study: Study, kind: str) -> dict[tuple, dict[str, Any]]:
    """All that the study's rows of a kind say, but for times, places and lanes."""
    own = re.compile(r"(_s|_at|^slot|^study|^lanes|^restarts|^launch.*|^images_per_s)$")
    key = ("configuration", "seed", "epoch") if kind == "epochs" else ("configuration", "seed", "kind")
    return {
        tuple(row.get(name) for name in key): {name: value for name, value in row.items() if not own.search(name)}
        for row in study.rows(kind)
    }


def test_a_study_in_lanes_says_and_leaves_what_any_study_does(tmp_path):
    shared, alone = Study(tmp_path / "shared", lanes=3, trials=6), Study(tmp_path / "alone", lanes=1, trials=6)
    status, said = shared.run()
    assert status == 0, said
    assert [line for line in said.replace(str(tmp_path), "").splitlines() if NOISE.search(line)] == []
    rows = shared.rows()
    assert Counter(row["state"] for row in rows) == {"finished": 6} and {row["lanes"] for row in rows} == {3}
    assert alone.run()[0] == 0 and {row["lanes"] for row in alone.rows()} == {1}
    # What comes after the controls depends on which trials have ended by then.
    for kind in ("trials", "epochs", "images"):
        there, here = numbers(alone, kind), numbers(shared, kind)
        controls = {key for key in there if key in here}
        assert len({key[0] for key in controls}) >= 4
        for key in controls:
            assert repr(there[key]) == repr(here[key])


def members(process: subprocess.Popen, name: str) -> list[int]:
    return [pid for pid, command in processes(process.pid).items() if re.search(name, command)]


def kill_in_the_middle(study: Study, name: str) -> str:
    """What a study says that loses one process of this name while its first trials train."""
    process = study.start()
    study.wait_until(lambda: len(study.rows()) >= 3, "no trial")
    os.kill(study.wait_until(lambda: members(process, name), "no such process")[0], signal.SIGKILL)
    status, said = ended(process)
    assert status == 0, said
    assert Counter(study.states().values()) == {"finished": 4}
    epochs = Counter((row["trial"], row["epoch"]) for row in study.rows("epochs"))
    assert set(epochs.values()) == {1} and len(epochs) == 4 * 8
    return said


def test_kill_nine_of_a_pack_costs_no_trial(tmp_path):
    study = Study(tmp_path, **LONG)
    assert "starts again: the process of its lane died" in kill_in_the_middle(study, r"ray::Pack\b")


def test_kill_nine_of_the_actor_of_a_trial_costs_no_other(tmp_path):
    study = Study(tmp_path, **LONG)
    kill_in_the_middle(study, "ResourceTrainable")
    assert sorted(row["restarts"] for row in study.rows()) == [0, 0, 0, 1]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_study_that_is_killed_leaves_no_process_and_goes_on(tmp_path, number):
    study = Study(tmp_path, **LONG)
    process = study.start()
    study.wait_until(lambda: len(study.rows()) >= 3, "no trial")
    os.kill(process.pid, number)
    process.wait()
    process.stdout.close()
    wait_until(lambda: not members(process, "ray::"), "a process of its trials is left behind")
    status, said = study.run()
    assert status == 0 and "4 of 4 trials: 4 finished" in said, said
    epochs = Counter((row["trial"], row["epoch"]) for row in study.rows("epochs"))
    assert set(epochs.values()) == {1} and len(epochs) == 4 * 8
