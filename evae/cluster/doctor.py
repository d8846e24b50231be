"""Is a cluster fit for a study? One line for each check: ok, or what to do about it."""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import ray
from rich.console import Console
from rich.text import Text

from evae import data
from evae.cluster import private, slurm
from evae.cluster.access import MAKE_TOKEN, is_open
from evae.cluster.finding import Finding
from evae.cluster.questions import Questions
from evae.cluster.versions import ANSWER_S, differing, modules, nodes, placed, versions, why_silent
from evae.data.base import DataRecipe
from evae.errors import UserError
from evae.hardware import accelerator
from evae.metrics.features import load_features
from evae.plugins import Plugin, load
from evae.results.store import Store
from evae.testing.families import run

DEVICES = {
    "cpu": "the CPU",
    "cuda": "GPUs (CUDA)",
    "mps": "the GPU (Metal), or the CPU where that cannot do all that a study needs",
}
SKEW_S = 2.0
"""Clocks that differ by more confuse the times in the tables."""


def examine(questions: Questions) -> Iterator[Finding]:
    """The findings on a cluster that this process has joined."""
    there = nodes()
    cpus, gpus = (sum(node["Resources"].get(kind, 0) for node in there.values()) for kind in ("CPU", "GPU"))
    yield Finding(cpus >= 1, f"{len(there)} node(s) with {cpus:g} CPUs and {gpus:g} GPUs", "start Ray with --num-cpus")
    yield from slurm.findings(there)
    store = Store(questions.store)
    plugins = load(questions.plugin)
    for plugin in plugins:
        faults = [f"{r.kind} {r.name}: {r.fault}" for r in run(plugin) if r.fault]
        yield Finding(not faults, f"plug-in {plugin.name} keeps its contracts", "; ".join(faults))
    here = probe(store, questions.features, "driver", plugins)
    asked = {}
    for name, node in there.items():
        task = ray.remote(**placed(node))(probe)
        asked[name] = (time.time(), task.remote(store, questions.features, node["NodeID"][:12], plugins))
    answers = {}
    for name, (sent, reference) in asked.items():
        try:
            answers[name] = ray.get(reference, timeout=ANSWER_S) | {"sent": sent}
        except (ray.exceptions.RayError, ray.exceptions.GetTimeoutError) as error:
            yield Finding(
                False,
                f"{name} does not answer: {why_silent(error)}",
                "install the project there, in the same place and with the same Python",
            )
    yield from _devices(there, answers)
    yield from _same(here, answers)
    yield from _stores(store, answers)
    # Where the nodes do not share the store, each has files of its own.
    ray.get([ray.remote(**placed(there[name]))(clear).remote(store, a["name"]) for name, a in answers.items()])
    clear(store, "driver")
    for name, answer in answers.items():
        if answer["features"]:
            yield Finding(False, f"{name} cannot load {questions.features}", answer["features"])
    skews = {name: max(a["sent"] - a["clock"], a["clock"] - time.time(), 0.0) for name, a in answers.items()}
    late = [f"{name} {skew:.1f} s" for name, skew in skews.items() if skew > SKEW_S]
    yield Finding(not late, f"clocks agree{': no, ' + ', '.join(late) if late else ''}", "run an NTP service")
    yield _data(questions)
    yield from _locked()


def probe(store: Store, features: str, name: str, plugins: Sequence[Plugin] = ()) -> dict[str, Any]:
    """What a node says of itself. Leaves a file `doctor/<name>` in the store."""
    answer: dict[str, Any] = {"clock": time.time(), "store": "", "features": "", "name": name}
    answer |= {"versions": versions(modules(plugins)), "device": accelerator()}
    try:
        store.write_bytes("doctor", name, b"written")
    except UserError as error:
        answer["store"] = str(error)
    try:
        load(plugins)
        load_features(features)
    except UserError as error:
        answer["features"] = str(error)
    return answer


def _devices(there: Mapping[str, Any], answers: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    """What trials will be trained on, where nothing else is asked for."""
    on: dict[str, list[str]] = defaultdict(list)
    for name, answer in answers.items():
        counted = there[name]["Resources"].get("GPU", 0)
        on[answer["device"] if counted else "cpu"].append(name)
        if counted and answer["device"] == "cpu":
            yield Finding(
                False,
                f"Ray counts {counted:g} GPU(s) on {name}, which torch cannot use",
                "install the torch that is built for them (pytorch.org), or train on CPUs: --gpus-per-worker 0",
            )
    for device, names in on.items():
        yield Finding(True, f"trials train on {DEVICES[device]}: {', '.join(names)}")


def clear(store: Store, name: str) -> None:
    """Remove what `probe` has left."""
    store.delete_bytes("doctor", name)


def _same(here: Mapping[str, Any], answers: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    others = differing(here["versions"], {name: answer["versions"] for name, answer in answers.items()})
    for package, who in others.items():
        remedy = "synchronise the project to every node" if package == "evae" else "install from the same lock file"
        version = here["versions"][package]
        yield Finding(not who, f"{package} {version} everywhere{': no, ' + ', '.join(who) if who else ''}", remedy)


def _data(questions: Questions) -> Finding:
    """Data are needed where the study is started: it sends them to the other nodes itself."""
    try:
        images = data.load(DataRecipe(source=questions.data), questions.data_root)
    except UserError as error:
        return Finding(False, f"{questions.data} cannot be had here", str(error))
    return Finding(True, f"{questions.data} is here: {len(images.train):,} training images")


def _stores(store: Store, answers: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    """Every node must be able to write, and what one writes all must see."""
    for name, answer in answers.items():
        if answer["store"]:
            yield Finding(False, f"{name} cannot write to {store.location}", answer["store"])
    unseen = [n for n, a in answers.items() if not a["store"] and store.read_bytes("doctor", a["name"]) is None]
    yield Finding(
        not unseen,
        f"{store.location} is one place for all nodes{': no, not for ' + ', '.join(unseen) if unseen else ''}",
        "give a shared folder, or an object store such as s3://bucket/path",
    )


def _locked() -> Iterator[Finding]:
    """Whoever reaches Ray's ports can run code on all nodes."""
    place = ray.get_runtime_context().gcs_address
    # With any other address than these, others of the loopback interface included, Ray listens on all.
    if place.rpartition(":")[0].strip("[]") in ("localhost", "127.0.0.1", "::1"):
        yield Finding(True, f"Ray listens on {place}, which no other machine reaches")
    else:
        yield Finding(not is_open(place), f"Ray listens on {place} and asks for a token", MAKE_TOKEN)
    dashboard = private.dashboard()
    public = dashboard and not dashboard.startswith(("127.", "localhost"))
    yield Finding(
        not public, f"the dashboard listens on {dashboard or 'no port'}", "ray start --dashboard-host=127.0.0.1"
    )


def report(findings: Iterable[Finding], console: Console) -> bool:
    """Print a line for each finding as it comes; whether all are ok."""
    fine = True
    for finding in findings:
        fine &= finding.ok
        mark = ("ok  ", "green") if finding.ok else ("bad ", "red")
        console.print(Text.assemble(mark, f" {finding.what}", "" if finding.ok else f"\n      -> {finding.remedy}"))
    return fine
