"""The parts of Ray that it does not promise to keep: each is asked for by name, so that a new version that lacks one
says at once what has to be done about it."""

import ast
import importlib
import re
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest
import ray
from packaging.requirements import Requirement
from packaging.version import Version
from ray.exceptions import OutOfMemoryError, RayActorError
from ray.tune import Callback

from evae.cluster.losses import loss

ROOT = Path(__file__).parents[2]
ONLY = ROOT / "evae/cluster/private.py"
OTHERS = {ROOT / "tests/test_cluster_files.py"}
"""What checks Ray's own words about a cluster file, with Ray's own check."""
PARTS = {
    "ray._private.node.Node.start_api_server": "find what starts the dashboard, in without_helpers(); or leave that "
    "out, and a study starts a second later",
    "ray._private.node.Node.start_ray_processes": "find what makes a raylet, in patiently(), as said of get_node",
    "ray._private.parameter.RayParams": "the same",
    "ray._private.ray_constants.ENABLE_RAY_CLUSTER": "find how a Ray without --address is kept on the loopback "
    "interface (tests/cluster/test_access.py sees whether it is), in without_clusters() and has_clusters()",
    "ray._private.ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR": "the same",
    "ray._private.services.canonicalize_bootstrap_address": 'find where Ray looks up the head for the address "auto", '
    "in head_at()",
    "ray._private.services.get_node": "find what Ray asks when it waits for a raylet that it has started, in "
    "patiently(); without it a study does not start where other programs have all cores for half a minute",
    "ray._private.services.psutil": "declare psutil in pyproject.toml and import it",
    "ray._private.state.state.get_draining_nodes": "find what tells which nodes are leaving, in draining(); without it "
    "trials stay on such a machine to its end, and go on elsewhere from their last checkpoint",
    "ray._private.utils.get_entrypoint_name": "find where Ray learns the driver's command line, in name_driver(); "
    "without it a study of a folder whose path is not UTF-8 does not start",
    "ray._private.utils.get_num_cpus": "find how Ray counts the cores of a container, in cores()",
    "ray._private.worker.get_dashboard_url": "find the dashboard's address, in dashboard(); only the doctor asks",
    "ray._private.worker.print_to_stdstream": "find who prints what raylets say, in quieten()",
    "ray._private.worker._global_node": "find the processes that ray.init started, in started()",
    "ray._raylet.AuthenticationTokenLoader": "find where Ray reads its token, in token_header()",
    "ray.air._internal.usage.tag_callbacks": "see whether Tune still imports MLflow and Weights & Biases to count "
    "callbacks; if not, count_no_callbacks() can go",
    "ray.air.execution._internal.actor_manager.RayActorManager._actor_task_failed": "find what Tune does where a call "
    "to an actor fails, in count_killed_as_died(); without it a study ends with a stack trace when Ray kills a trial's "
    "process for the machine's memory",
    "ray.train.torch.config._setup_torch_process_group": "find how Ray Train calls init_process_group, and do the same "
    "in set_up_process_group()",
    "ray.train.torch.config._TorchBackend": "find the class of TorchConfig().backend_cls",
    "ray.tune.execution.class_cache.DEFAULT_ENV_VARS": "see whether Tune still asks for processes with an environment "
    "of their own; if not, share_processes() can go (benchmarks/utilisation.py shows what a study loses)",
}
SETTINGS = {
    "worker_register_timeout_seconds": "on a busy machine processes are given up while they start: find its new name "
    "for evae/cluster/__init__.py",
    "idle_worker_killing_time_threshold_ms": "processes that have imported what a trial needs are ended before Tune "
    "asks for them: find its new name for evae/cluster/__init__.py",
    "preload_python_modules": "the first trial of each core waits for imports: leave PRELOAD out, or find its new name",
    "timeout_ms_task_wait_for_death_info": "a machine without power is taken for a process that died, and counts "
    "towards --max-failures: find its new name for evae/cluster/__init__.py",
}
WORDS = {
    "its node has died": "lost machines are told from lost processes by it, in evae/cluster/losses.py",
    "worker process has died": "the same",
    "low on memory": "processes that Ray killed for the machine's memory are told from others by it, in the same file",
}


def sources() -> list[Path]:
    rooms = ("evae", "analysis", "studies", "search_spaces", "benchmarks", "tests")
    return [file for room in rooms for file in sorted((ROOT / room).rglob("*.py"))]


def imported(file: Path) -> set[str]:
    """The dotted names of what a file imports, and of what it reaches through the name `ray`."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Attribute):
            found.add(ast.unparse(node))
    return {name for name in found if re.match(r"ray\.", name)}


def is_private(name: str) -> bool:
    parts = name.split(".")
    return any(part.startswith("_") and not part.startswith("__") for part in parts) or "ray.tune.execution" in name


def test_only_one_file_uses_them():
    users = {file for file in sources() if any(map(is_private, imported(file)))}
    assert users - OTHERS == {ONLY}


def test_all_that_it_uses_are_asked_for_here():
    used = {name for name in imported(ONLY) if is_private(name)}
    assert {name for name in used if not any(f"{part}.".startswith(f"{name}.") for part in PARTS)} == set()


@pytest.mark.parametrize("part", PARTS)
def test_ray_still_has(part):
    names = part.split(".")
    for length in range(len(names), 0, -1):
        try:
            found = importlib.import_module(".".join(names[:length]))
        except ImportError:
            continue
        break
    for name in names[length:]:
        assert hasattr(found, name), f"Ray {ray.__version__} has no {part}: {PARTS[part]}"
        found = getattr(found, name)


def test_tune_imports_no_tracker_to_count_callbacks(monkeypatch):
    for name in ("mlflow", "wandb"):
        monkeypatch.setitem(sys.modules, f"ray.air.integrations.{name}", None)
    importlib.import_module("evae.cluster.tune")
    assert not importlib.import_module("ray.air._internal.usage").tag_callbacks([Callback()])


def test_tune_takes_a_process_that_ray_killed_for_its_memory_for_one_that_died(monkeypatch):
    """On a made-up actor; tests/studies/test_study.py has real ones killed."""

    def get(future: object) -> None:
        raise OutOfMemoryError("1 worker(s) were killed due to the node running low on memory")

    importlib.import_module("evae.cluster.tune")
    internal, told, future = "ray.air.execution._internal", [], object()
    resources = SimpleNamespace(free_resources=lambda acquired_resource: None)
    manager = importlib.import_module(f"{internal}.actor_manager").RayActorManager(resources)
    tracked = importlib.import_module(f"{internal}.tracked_actor").TrackedActor
    actor = tracked(7, on_error=lambda who, error: told.append(error))
    handle = SimpleNamespace(train=SimpleNamespace(remote=lambda: future))
    manager._live_actors_to_ray_actors_resources[actor] = handle, None
    manager.schedule_actor_task(actor, "train")
    monkeypatch.setattr(ray, "get", get)
    manager._actor_task_events.resolve_future(future)
    (error,) = told
    assert isinstance(error, RayActorError) and loss(str(error)).why.startswith("out of memory")


@pytest.mark.parametrize("name", [*SETTINGS, *WORDS])
def test_rays_programs_still_know(name):
    root = Path(ray.__file__).parent
    programs = (root / "_raylet.so", root / "core/src/ray/gcs/gcs_server", root / "core/src/ray/raylet/raylet")
    assert any(name.encode() in program.read_bytes() for program in programs), (
        f"Ray {ray.__version__} knows no {name!r}: {(SETTINGS | WORDS)[name]}"
    )


def test_ray_is_bounded_by_the_version_that_was_tried():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (given,) = [r for r in map(Requirement, project["dependencies"]) if r.name == "ray"]
    pinned = Version(re.search(r"^ray==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)[1])
    following = Version(f"{pinned.major}.{pinned.minor + 1}")
    assert pinned in given.specifier and following not in given.specifier
