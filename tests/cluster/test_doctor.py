"""The checks of a cluster: on this machine, and from the shell."""

import io
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from running import DEADLINE_S

from evae.cluster import doctor
from evae.cluster.demand import Demand
from evae.cluster.doctor import examine, probe, report
from evae.cluster.finding import Finding
from evae.cluster.machine import ray_session
from evae.cluster.questions import Questions
from evae.results.store import Store

ROOT = Path(__file__).parents[2]


def bad(findings: list[Finding]) -> list[str]:
    return [f.what for f in findings if not f.ok]


@pytest.fixture(scope="module")
def alone():
    with ray_session(Demand(), trains=False):
        yield


def test_this_machine_is_fit_and_nothing_is_left_in_the_store(alone, tmp_path):
    findings = list(examine(Questions(store=str(tmp_path))))
    assert bad(findings) == [] and len(findings) > 8
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_a_store_that_cannot_be_written_is_named_with_what_to_do(alone, tmp_path):
    (tmp_path / "file").write_text("in the way")
    (found,) = [f for f in examine(Questions(store=str(tmp_path / "file"))) if not f.ok]
    assert "cannot write" in found.what and "--results" in found.remedy


def test_features_that_cannot_be_loaded_are_told_by_the_node(tmp_path):
    assert probe(Store(tmp_path), "efficientnet-lite0-b10", "here")["features"] == ""
    assert "unknown features 'no-such'" in probe(Store(tmp_path), "no-such", "here")["features"]


def test_other_versions_on_a_node_are_named():
    here = {"versions": {"python": "3.12.1", "evae": "a"}}
    there = {
        "one": {"versions": {"python": "3.12.1", "evae": "b"}},
        "two": {"versions": {"python": "3.11.7", "evae": "a"}},
    }
    python, code = doctor._same(here, there)
    assert not python.ok and "two has 3.11.7" in python.what and "lock file" in python.remedy
    assert not code.ok and "one has b" in code.what and "synchronise" in code.remedy


def test_what_trials_train_on_is_told_of_every_node():
    there = {name: {"Resources": {"CPU": 8} | gpus} for name, gpus in (("a", {}), ("b", {"GPU": 2}), ("c", {"GPU": 1}))}
    answers = {name: {"device": device} for name, device in (("a", "cpu"), ("b", "cuda"), ("c", "cpu"))}
    found = list(doctor._devices(there, answers))
    assert bad(found) == ["Ray counts 1 GPU(s) on c, which torch cannot use"]
    assert [f.what for f in found if f.ok] == ["trials train on the CPU: a, c", "trials train on GPUs (CUDA): b"]


def test_data_that_cannot_be_had_are_told_with_what_to_do(tmp_path):
    assert doctor._data(Questions()).what == "mnist-5k is here: 4,000 training images"
    found = doctor._data(Questions(data=f"folder:{tmp_path}"))
    assert not found.ok and str(tmp_path) in found.what + found.remedy


@pytest.mark.slow
def test_from_the_shell_the_exit_status_tells(tmp_path):
    (tmp_path / "file").write_text("in the way")
    command = [sys.executable, "-m", "evae.doctor", "--store", str(tmp_path / "file" / "x")]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_S)
    assert run.returncode == 1, run.stderr
    assert "bad" in run.stdout and "->" in run.stdout and "Traceback" not in run.stdout + run.stderr


def test_an_address_where_nobody_listens_is_an_error_within_seconds():
    command = [sys.executable, "-m", "evae.doctor", "--address", "127.0.0.1:1"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_S)
    assert run.returncode == 2
    assert "no Ray cluster answers" in run.stderr and "Traceback" not in run.stderr


def test_findings_are_shown_as_they_are():
    console = Console(file=io.StringIO(), width=200)
    assert not report([Finding(True, "/data/[old]/:car: is here"), Finding(False, "no [b]", "mend [/x]")], console)
    assert console.file.getvalue() == "ok   /data/[old]/:car: is here\nbad  no [b]\n      -> mend [/x]\n"
