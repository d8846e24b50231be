"""Is this machine, or this cluster, fit for a study?

    python -m evae.doctor
    python -m evae.doctor --address auto --store s3://bucket/studies

One line for each check: ok, or what to do about it. The exit status is 1 where something is not ok.
"""

import dataclasses
import hashlib
import importlib.metadata
import os
import platform
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import tyro
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
from rich.console import Console

import evae
from evae.errors import UserError
from evae.metrics.features import DEFAULT_FEATURES, load_features
from evae.tuning.machine import ray_session
from evae.tuning.options import StudyOptions
from evae.tuning.store import Store

PACKAGES = ("torch", "ray", "pyarrow", "optuna")
SKEW_S = 2.0
"""Clocks that differ by more confuse the times in the tables."""
ANSWER_S = 60.0
"""A node that has not answered by then is not fit to train."""


@dataclass(frozen=True, kw_only=True)
class Questions:
    """Where to look."""

    address: str | None = None
    """A running Ray cluster ("auto", "HOST:6379"); default: this machine alone."""
    store: str = "results"
    """Where studies will put their results: a folder or URI that every node can write to."""
    features: str = DEFAULT_FEATURES
    """Network of the Fréchet distance, whose weights every node must have."""


@dataclass(frozen=True)
class Finding:
    """What was checked, and what to do if it is not ok."""

    ok: bool
    what: str
    remedy: str = ""


def examine(questions: Questions) -> Iterator[Finding]:
    """The findings on a cluster that this process has joined."""
    nodes = [node for node in ray.nodes() if node["Alive"]]
    cpus, gpus = (sum(node["Resources"].get(kind, 0) for node in nodes) for kind in ("CPU", "GPU"))
    yield Finding(cpus >= 1, f"{len(nodes)} node(s) with {cpus:g} CPUs and {gpus:g} GPUs", "start Ray with --num-cpus")
    here = probe(questions.store, questions.features, "driver")
    asked = {}
    for node in nodes:
        there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        task = ray.remote(num_cpus=0, scheduling_strategy=there)(probe)
        name = f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
        asked[name] = (time.time(), task.remote(questions.store, questions.features, node["NodeID"][:12]))
    answers = {}
    for name, (sent, reference) in asked.items():
        try:
            answers[name] = ray.get(reference, timeout=ANSWER_S) | {"sent": sent}
        except (ray.exceptions.RayError, ray.exceptions.GetTimeoutError) as error:
            yield Finding(
                False,
                f"{name} does not answer: {str(error).strip().splitlines()[-1]}",
                "install the project there, in the same place and with the same Python",
            )
    yield from _same(here, answers)
    yield from _stores(questions.store, answers)
    for name, answer in answers.items():
        if answer["features"]:
            yield Finding(False, f"{name} cannot load {questions.features}", answer["features"])
    skews = {name: max(a["sent"] - a["clock"], a["clock"] - time.time(), 0.0) for name, a in answers.items()}
    late = [f"{name} {skew:.1f} s" for name, skew in skews.items() if skew > SKEW_S]
    yield Finding(not late, f"clocks agree{': no, ' + ', '.join(late) if late else ''}", "run an NTP service")
    yield from _locked(len(nodes))


def probe(store: str, features: str, name: str) -> dict[str, Any]:
    """What a node says of itself. Leaves a file `doctor/<name>` in the store."""
    answer: dict[str, Any] = {"clock": time.time(), "versions": versions(), "store": "", "features": "", "name": name}
    try:
        Store(store).write_bytes("doctor", name, b"written")
    except UserError as error:
        answer["store"] = str(error)
    try:
        load_features(features)
    except UserError as error:
        answer["features"] = str(error)
    return answer


def versions() -> dict[str, str]:
    """Of python, the packages that must agree, and the project's own files."""
    root = Path(evae.__file__).parent
    digest = hashlib.sha256()
    for file in sorted(root.rglob("*.py")):
        digest.update(file.relative_to(root).as_posix().encode() + file.read_bytes())
    found = {"python": platform.python_version(), "evae": digest.hexdigest()[:12]}
    return found | {name: importlib.metadata.version(name) for name in PACKAGES}


def _same(here: Mapping[str, Any], answers: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    for package, version in here["versions"].items():
        others = {n: a["versions"][package] for n, a in answers.items() if a["versions"][package] != version}
        differing = ", ".join(f"{name} has {other}" for name, other in others.items())
        remedy = "synchronise the project to every node" if package == "evae" else "install from the same lock file"
        yield Finding(not others, f"{package} {version} everywhere{': no, ' + differing if others else ''}", remedy)


def _stores(location: str, answers: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    """Every node must be able to write, and what one writes all must see."""
    store = Store(location)
    for name, answer in answers.items():
        if answer["store"]:
            yield Finding(False, f"{name} cannot write to {location}", answer["store"])
    unseen = [n for n, a in answers.items() if not a["store"] and store.read_bytes("doctor", a["name"]) is None]
    yield Finding(
        not unseen,
        f"{location} is one place for all nodes{': no, not for ' + ', '.join(unseen) if unseen else ''}",
        "give a shared folder, or an object store such as s3://bucket/path",
    )
    for name in ("driver", *(a["name"] for a in answers.values())):
        store.delete_bytes("doctor", name)


def _locked(nodes: int) -> Iterator[Finding]:
    """Whoever reaches Ray's ports can run code on all nodes."""
    if nodes > 1:
        yield Finding(
            os.environ.get("RAY_AUTH_MODE") == "token",
            "the cluster asks for a token",
            "ray get-auth-token --generate, copy ~/.ray/auth_token to all nodes, RAY_AUTH_MODE=token before ray start",
        )
    address = ray.get_runtime_context().gcs_address.rpartition(":")[0]
    if nodes == 1:
        yield Finding(True, f"Ray listens on {address}")
    dashboard = ray._private.worker.get_dashboard_url()
    public = dashboard and not dashboard.startswith(("127.", "localhost"))
    yield Finding(
        not public, f"the dashboard listens on {dashboard or 'no port'}", "ray start --dashboard-host=127.0.0.1"
    )


def report(findings: Iterable[Finding], console: Console) -> bool:
    """Print a line for each finding as it comes; whether all are ok."""
    fine = True
    for finding in findings:
        fine &= finding.ok
        mark = "[green]ok[/green]  " if finding.ok else "[red]bad[/red] "
        console.print(
            f"{mark} {finding.what}" + ("" if finding.ok else f"\n      -> {finding.remedy}"), highlight=False
        )
    return fine


def main() -> None:
    """The command line."""
    questions = tyro.cli(Questions, description=__doc__)
    console = Console(soft_wrap=True)
    try:
        with ray_session(dataclasses.replace(StudyOptions(), address=questions.address)):
            fine = report(examine(questions), console)
    except UserError as error:
        Console(stderr=True, soft_wrap=True).print(f"error: {error}", markup=False, highlight=False)
        sys.exit(2)
    sys.exit(0 if fine else 1)
