"""What evae uses of Ray that Ray does not promise to keep: imported here, and nowhere else.

pyproject.toml bounds Ray by the newest version that was tried. tests/cluster/test_private.py asks for each part, and
says what to do where a newer version has none. Those of Tune and Train are imported where they are used: Ray starts
before they are needed, and they take seconds.
"""

import contextlib
import functools
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import ray
from ray._private import node, parameter, ray_constants, services, state
from ray._private import utils as ray_utils
from ray._private import worker as ray_worker
from ray._private.services import psutil  # Ray brings it along
from ray._raylet import AuthenticationTokenLoader
from ray.exceptions import RayActorError, RayError, RayTaskError

from evae.results.places import shown

PRELOAD = "RAY_preload_python_modules"
"""The setting of a raylet that names the modules which its processes import in advance."""
ALIVE = "/ray.rpc.NodeInfoGcsService/CheckAlive"
"""The simplest question that a cluster's head answers."""

_TOKEN = "RAY_AUTH_TOKEN"
_GCS_WAIT = "RAY_gcs_server_port_wait_time_s"
_STARTING_S = 180
"""What processes of Ray's may take to come up. By itself it gives up after 30 s, which is not enough where other
programs have all cores."""
_ENDING_S = 60.0
"""What a killed process of Ray's may take to be gone."""


def quieten() -> None:
    """Keep to itself what Ray says on the console of processes that died, some of it pages long, whatever one asks
    for. It is in its log files; a study's console says which trial was lost and why (evae/cluster/failures.py)."""
    ray_worker.print_to_stdstream = lambda data, ignore_prefix: None


def name_driver() -> None:
    """Ray tells its head the command line as UTF-8, and does not start where a path on it is of other bytes; and its
    dashboard shows it, also what of a URI is secret."""
    said = " ".join(map(shown, sys.argv))
    ray_utils.get_entrypoint_name = lambda: said.encode("utf-8", "backslashreplace").decode()


def share_processes() -> None:
    """Let Tune's actors be the processes that Ray starts at once, a core each, and that import what a trial needs while
    data is prepared. Tune asks for processes with an environment of their own, for a variable of PyTorch Lightning."""
    from ray.tune.execution import class_cache

    class_cache.DEFAULT_ENV_VARS.clear()


def count_no_callbacks() -> None:
    """Let Tune go without its statistics on callbacks: to know those for MLflow and Weights & Biases from others it
    imports both, wherever they are installed, which is a fifth of what the process of a small study computes."""
    from ray.air._internal import usage

    usage.tag_callbacks = lambda callbacks: False


def count_killed_as_died() -> None:
    """Let Tune take an actor that Ray has killed for the machine's memory for one that has died. By itself it knows
    errors of two classes, those of actors that died and those of their own code; at any other, such as that of a kill
    for memory, it ends the whole study with a stack trace."""
    from ray.air.execution._internal.actor_manager import RayActorManager

    known = RayActorManager._actor_task_failed

    def failed(self: Any, tracked_actor_task: Any, exception: Exception) -> None:
        if isinstance(exception, RayError) and not isinstance(exception, RayActorError | RayTaskError):
            exception = RayActorError(error_msg=str(exception))
        known(self, tracked_actor_task, exception)

    RayActorManager._actor_task_failed = failed


def torch_backend() -> type:
    """What sets the process groups of Ray Train's workers up."""
    from ray.train.torch.config import _TorchBackend

    return _TorchBackend


def set_up_process_group(**arguments: Any) -> None:
    """Make this process one of a group, as Ray Train does."""
    from ray.train.torch.config import _setup_torch_process_group

    _setup_torch_process_group(**arguments)


def has_clusters() -> bool:
    """Whether the Ray that this process knows may have other machines."""
    return ray_constants.ENABLE_RAY_CLUSTER


@contextlib.contextmanager
def without_clusters() -> Iterator[Mapping[str, str]]:
    """A Ray that is started inside knows itself as 127.0.0.1: Ray's own switch, made for laptops. Gives the environment
    by which its processes learn of it."""
    # It is read when Ray is imported, which has happened here, and in those processes is still to come.
    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield {ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR: "0"}
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


@contextlib.contextmanager
def without_helpers() -> Iterator[None]:
    """A Ray that is started inside leaves out what a single machine does not ask for: the autoscaler, the process that
    passes on what workers print, and the dashboard, which without its pages is there for statistics on the use of Ray.
    Of a start on two cores they are 1.9 of 4.6 s of a core."""
    before = parameter.RayParams, node.Node.start_api_server
    parameter.RayParams = functools.partial(parameter.RayParams, no_monitor=True, include_log_monitor=False)
    node.Node.start_api_server = lambda self, **options: None
    try:
        yield
    finally:
        parameter.RayParams, node.Node.start_api_server = before


@contextlib.contextmanager
def patiently() -> Iterator[None]:
    """A Ray that is started inside is waited for as long as its raylet lives, for `_STARTING_S` at most. Raises
    ChildProcessError where that has ended, for which Ray by itself waits as for one that is slow. What fails leaves no
    process."""
    ask, start, until = services.get_node, node.Node.start_ray_processes, time.monotonic() + _STARTING_S
    starting: list[node.Node] = []

    def started(new: node.Node) -> None:
        starting.append(new)
        start(new)

    def asked(*given: str) -> Any:
        while all(raylet.process.poll() is None for new in starting for raylet in new.all_processes["raylet"]):
            try:
                return ask(*given)  # which waits half a minute itself
            except RuntimeError as error:  # the raylet has not said yet that it is there
                if time.monotonic() > until:
                    raise TimeoutError(f"its raylet has not come up in {_STARTING_S} s") from error
            time.sleep(0.1)
        raise ChildProcessError("its raylet ended as it started")

    services.get_node, node.Node.start_ray_processes = asked, started
    given = _GCS_WAIT in os.environ
    os.environ.setdefault(_GCS_WAIT, str(_STARTING_S))
    try:
        yield
    except BaseException:
        if starting:
            ray.shutdown()  # or Ray asks the head that is gone, for a minute, and then ends this process without a word
        for new in starting:
            new.kill_all_processes(check_alive=False, wait=True)
        raise
    finally:
        services.get_node, node.Node.start_ray_processes = ask, start
        if not given:
            del os.environ[_GCS_WAIT]


def head_at(address: str) -> str | None:
    """HOST:PORT of the head that Ray would join for this address; None where it would look for processes of its own
    here. Raises ValueError for what is no address."""
    return services.canonicalize_bootstrap_address(address)


def token_header(address: str) -> Mapping[str, str]:
    """The header with the token that Ray will send to this address; empty if none. To an address that was spelled out
    Ray sends it only when told to."""
    mode = os.environ.get("RAY_AUTH_MODE")
    if mode != "token" and (mode is not None or address != "auto"):
        return {}
    return AuthenticationTokenLoader.instance().get_token_for_http_header(ignore_auth_mode=True)


@contextlib.contextmanager
def own_token() -> Iterator[None]:
    """A token for the Ray that is started inside, where there is none. Ray itself would leave one in the home folder,
    which in many a container is none that can be written."""
    if AuthenticationTokenLoader.instance().has_token(ignore_auth_mode=True):
        yield
        return
    os.environ[_TOKEN] = secrets.token_hex(32)
    forget_token()
    try:
        yield
    finally:
        del os.environ[_TOKEN]
        forget_token()


def forget_token() -> None:
    """Have Ray look for its token anew."""
    AuthenticationTokenLoader.instance().reset_cache()


def interfaces() -> Iterator[tuple[str, str]]:
    """This machine's network interfaces, with each address of theirs."""
    for name, places in psutil.net_if_addrs().items():
        for place in places:
            yield name, place.address


def dashboard() -> str | None:
    """HOST:PORT of the dashboard of the cluster that this process has joined."""
    return ray_worker.get_dashboard_url()


def draining() -> set[str]:
    """The ids of the nodes that are about to leave the cluster, and take no new work."""
    return set(state.state.get_draining_nodes())


def cores() -> int:
    """How many CPU cores Ray counts on this machine: of a container its share, where it has one."""
    return ray_utils.get_num_cpus()


def started() -> list[Any]:
    """The processes that this process's Ray has started."""
    return [process.process for kind in ray_worker._global_node.all_processes.values() for process in kind]


def await_end(processes: list[Any]) -> None:
    """Wait for processes that Ray has killed. It gives each a second; on a busy machine a raylet takes longer."""
    for process in processes:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_ENDING_S)
