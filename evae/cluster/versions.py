"""Do all machines of a cluster run the same code? Where they do not, trials differ by more than their recipes."""

import hashlib
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

import evae
from evae import hardware
from evae.errors import UserError
from evae.hardware import accelerator
from evae.plugins import Plugin, find

PACKAGES = ("torch", "ray", "pyarrow", "optuna")
ANSWER_S = 300.0
"""A node that has not answered by then hangs. Busy ones may take a minute to start a process."""


def versions(modules: Sequence[str] = ()) -> dict[str, str]:
    """Of python, the packages that must agree, the project's own files, and these modules that are plug-ins."""
    root = Path(evae.__file__).parent
    digest = hashlib.sha256()
    for file in sorted(root.rglob("*.py")):
        digest.update(file.relative_to(root).as_posix().encode() + file.read_bytes())
    found = {"python": platform.python_version(), "evae": digest.hexdigest()[:12]}
    found |= {name: hardware.installed(name) or "not installed" for name in PACKAGES}
    return found | {f"plug-in {name}": _digest(name) for name in modules}


def _digest(module: str) -> str:
    try:
        return find(module).digest
    except UserError:
        return "none"


def modules(plugins: Iterable[Plugin]) -> list[str]:
    """The plug-ins that must be installed everywhere; files travel."""
    return [plugin.name for plugin in plugins if plugin.source is None]


def nodes() -> dict[str, Any]:
    """Ray's nodes that are alive, by a name to show. A machine may have several, with ports of their own."""
    return {
        f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']}:{node['NodeManagerPort']})": node
        for node in ray.nodes()
        if node["Alive"]
    }


def machines() -> int:
    """On how many machines Ray's nodes are."""
    return len({node["NodeManagerAddress"] for node in nodes().values()})


def placed(node: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a task that takes no core of this node."""
    return {"num_cpus": 0, "scheduling_strategy": NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)}


def differing(here: Mapping[str, str], there: Mapping[str, Mapping[str, str]]) -> dict[str, list[str]]:
    """For each package, the nodes whose version is not the one here, in words."""
    return {
        package: [f"{name} has {found[package]}" for name, found in there.items() if found[package] != version]
        for package, version in here.items()
    }


def why_silent(error: Exception) -> str:
    """The last line of what Ray says about a node that does not answer."""
    return str(error).strip().splitlines()[-1]


def devices() -> set[str]:
    """What torch can use on the nodes that have what Ray counts as GPUs. Raises UserError where one does not answer."""
    with_gpus = {name: node for name, node in nodes().items() if node["Resources"].get("GPU")}
    return set(_ask(accelerator, with_gpus).values())


def _ask(what: Callable[..., Any], whom: Mapping[str, Any], *arguments: Any) -> dict[str, Any]:
    """What a function returns on each of these nodes. Raises UserError where one cannot say."""
    asked = {name: ray.remote(**placed(node))(what).remote(*arguments) for name, node in whom.items()}
    try:
        return dict(zip(asked, ray.get(list(asked.values()), timeout=ANSWER_S), strict=True))
    except (ray.exceptions.RayError, ray.exceptions.GetTimeoutError) as error:
        raise UserError(
            f"a machine of the cluster cannot run the project: {why_silent(error)}; "
            "`python -m evae.doctor --address ...` says which one."
        ) from None


def require_same_versions(plugins: Iterable[Plugin] = ()) -> None:
    """Raise UserError where a machine of the cluster that was joined has other versions than this process."""
    installed = modules(plugins)
    if machines() < 2:
        return
    here, there = versions(installed), _ask(versions, nodes(), installed)
    wrong = {what: who for what, who in differing(here, there).items() if who}
    if wrong:
        told = "; ".join(f"{what} is {here[what]} here, but {', '.join(who)}" for what, who in wrong.items())
        raise UserError(
            f"{told}. Bring the same code and packages to every machine (`ray up` does), and see "
            "`python -m evae.doctor --address ...`."
        )
