"""The image, its use by KubeRay, and the script for Slurm, by what reads such files."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from evae.commands import parse
from studies.kernel_sweep import KernelSweep

ROOT = Path(__file__).parents[1]
SCHEMA = json.loads(Path(__file__).with_name("kuberay.schema.json").read_text())


@pytest.fixture
def documents() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((ROOT / "cluster-kuberay.yaml").read_text()))


@pytest.fixture
def cluster(documents) -> dict[str, Any]:
    return documents[1]["spec"]["rayClusterSpec"]


def pods(cluster: dict[str, Any]) -> list[dict[str, Any]]:
    return [group["template"]["spec"] for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])]


def test_kuberay_knows_every_field(documents):
    jsonschema.validate(documents[1], SCHEMA)


@pytest.mark.parametrize("group", ["headGroupSpec", "authOptions", "autoscalerOptions"])
def test_a_mistyped_field_is_refused(documents, cluster, group):
    cluster[group]["tokn"] = "x"
    with pytest.raises(jsonschema.ValidationError, match="tokn"):
        jsonschema.validate(documents[1], SCHEMA)


def test_the_cluster_asks_for_a_token_and_has_the_rays_version_of_the_lock_file(cluster):
    (pinned,) = re.findall(r"^ray==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert cluster["authOptions"] == {"mode": "token"} and cluster["rayVersion"] == pinned


def test_workers_start_when_needed_and_have_time_to_leave(cluster):
    (workers,) = cluster["workerGroupSpecs"]
    assert cluster["enableInTreeAutoscaling"] and workers["minReplicas"] == 0 < workers["maxReplicas"]
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    pod = workers["template"]["spec"]
    (drain,) = [e for e in pod["containers"][0]["env"] if e["name"] == "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"]
    assert int(drain["value"]) < pod["terminationGracePeriodSeconds"]


def test_all_pods_see_the_results_as_the_user_of_the_image(documents, cluster):
    claim, job = documents
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    arguments = shlex.split(job["spec"]["entrypoint"])
    results = arguments[arguments.index("--results") + 1]
    for pod in pods(cluster):
        assert pod["volumes"][0]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
        assert pod["containers"][0]["volumeMounts"] == [{"name": "results", "mountPath": results}]
        assert f"USER {pod['securityContext']['runAsUser']}\n" in (ROOT / "Dockerfile").read_text()
    assert f"VOLUME {results}\n" in (ROOT / "Dockerfile").read_text()


def test_the_study_of_the_manifest_is_one(documents, monkeypatch):
    command = shlex.split(documents[1]["spec"]["entrypoint"])
    assert command[:2] == ["evae", "study"]
    monkeypatch.setattr(sys, "argv", command[2:])
    options = parse(KernelSweep, "")
    assert options.address == "auto" and options.trials_at_once > 1


def test_the_image_has_a_python_that_the_project_supports():
    (version,) = re.findall(r"^FROM python:(\d+\.\d+)-slim", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    least = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert least == ">=3.11" and tuple(map(int, version.split("."))) >= (3, 11)


def test_every_file_that_the_image_copies_is_there_and_not_ignored():
    ignored = (ROOT / ".dockerignore").read_text().split()
    copied = [
        name
        for line in re.findall(r"^COPY (.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
        for name in line.split()
        if name != "."
    ]
    assert len(copied) > 4
    for name in copied:
        assert (ROOT / name).is_file() and name.split("/")[0] not in ignored


@pytest.mark.parametrize("command", [("hadolint", "Dockerfile"), ("shellcheck", "cluster-slurm.sh")])
def test_a_linter_finds_nothing(command):
    linter = shutil.which(command[0], path=str(Path(sys.executable).parent))  # installed beside this Python
    if linter is None:
        pytest.skip(f"{command[0]} is not made for this machine")
    found = subprocess.run([linter, *command[1:]], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout
