"""Who can reach a study: each test tries."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import ray
from joining import OTHERS, clean, head, ray_start
from listening import listening, to_other_machines
from running import DEADLINE_S, Study, ended, processes

from evae.cluster import private
from evae.cluster.access import LOOPBACK, is_open, knock, require_token
from evae.cluster.demand import Demand
from evae.cluster.doctor import examine
from evae.cluster.machine import ray_session
from evae.cluster.process_group import use_ray_network
from evae.cluster.questions import Questions
from evae.errors import UserError

TOKEN = "a" * 32


def family(pid: int) -> set[int]:
    """A process and all that it has started."""
    found, waiting = set(), [pid]
    while waiting:
        found.add(one := waiting.pop())
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            waiting += map(int, task.read_text().split())
    return found


def test_the_kernels_table_shows_who_listens_where():
    """Without this, the tests below could pass because they see nothing."""
    with socket.create_server(("127.0.0.1", 0)) as inner, socket.create_server(("0.0.0.0", 0)) as outer:
        found = listening([os.getpid()])
        assert found[inner.getsockname()] == found[outer.getsockname()] == os.getpid()
        assert list(to_other_machines([os.getpid()])) == [outer.getsockname()]


def test_workers_on_several_machines_listen_where_ray_does_whatever_the_machine_calls_itself(monkeypatch):
    for address, chosen, interface in (
        ("127.0.0.1", {}, LOOPBACK),
        ("198.51.100.1", {}, None),
        ("127.0.0.1", {"GLOO_SOCKET_IFNAME": "by hand"}, "by hand"),
    ):
        monkeypatch.setattr(os, "environ", dict(chosen))
        monkeypatch.setattr(ray.util, "get_node_ip_address", lambda address=address: address)
        use_ray_network()
        assert os.environ.get("GLOO_SOCKET_IFNAME") == interface


HELPERS = ("monitor.py", "dashboard/dashboard.py")
"""What Ray starts to serve a cluster and its users."""


def test_a_session_on_this_machine_listens_to_no_other_and_needs_no_home(monkeypatch):
    monkeypatch.setenv("HOME", "/proc")  # where nobody can leave a token
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    private.forget_token()
    before = dict(os.environ), private.has_clusters(), family(os.getpid())
    with ray_session(Demand(), trains=False):
        ray.get(ray.remote(num_cpus=0)(lambda: None).remote())
        processes = family(os.getpid())
        assert listening(processes)
        assert to_other_machines(processes) == {}
        commands = " ".join(Path(f"/proc/{process}/cmdline").read_text() for process in processes)
        assert "raylet" in commands and not [name for name in HELPERS if name in commands]
    names = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME", "RAY_AUTH_TOKEN")
    left = {name for name in names if name in os.environ} - before[0].keys()
    assert not left and before[1] == private.has_clusters()
    assert family(os.getpid()) <= before[2]  # not even as zombies


@pytest.mark.slow
def test_processes_that_have_imported_what_a_trial_needs_wait_for_it():
    """Ray by itself ends them after a second without work."""
    with ray_session(Demand()):
        time.sleep(3)
        there = family(os.getpid())
        ask = ray.remote(lambda: (os.getpid(), "evae.cluster.worker" in sys.modules))
        process, imported = ray.get(ask.remote())
        assert process in there and imported


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    with head(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=TOKEN) as address:
        yield address


@pytest.fixture
def token(monkeypatch) -> Iterator[Callable[[str | None], None]]:
    """Gives this process a token, or none."""

    def give(text: str | None) -> None:
        monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
        if text is not None:
            monkeypatch.setenv("RAY_AUTH_MODE", "token")
            monkeypatch.setenv("RAY_AUTH_TOKEN", text)
        private.forget_token()

    yield give
    monkeypatch.undo()
    private.forget_token()


@pytest.mark.parametrize(("given", "fault"), [(None, "this process has none"), ("b" * 32, "is another")])
def test_a_head_with_a_token_refuses_who_has_another_or_none_and_says_what_to_do(guarded, token, given, fault):
    token(given)
    with pytest.raises(UserError, match=rf"asks for its token, and .*{fault}; copy .*auth_token.*RAY_AUTH_MODE=token"):
        knock(guarded)
    assert not is_open(guarded)


def test_a_head_with_a_token_lets_in_who_has_it(guarded, token):
    token(TOKEN)
    knock(guarded)


@pytest.mark.slow
@pytest.mark.parametrize(("settings", "works"), [({}, False), ({"RAY_AUTH_TOKEN": TOKEN}, True)])
def test_ray_itself_runs_nothing_for_who_has_no_token(guarded, tmp_path, settings, works):
    """Not only our own question is refused: the head, asked by a client that wants to run a task."""
    mode = "token" if settings else "disabled"
    code = f"import ray; ray.init({guarded!r}); "
    code += f"ray.get(ray.remote(num_cpus=1)(lambda: open({str(tmp_path / 'ran')!r}, 'w').close()).remote())"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=clean() | settings | {"RAY_AUTH_MODE": mode},
        capture_output=True,
        timeout=DEADLINE_S,
    )
    assert (run.returncode == 0, (tmp_path / "ran").exists()) == (works, works)
    assert works or b"InvalidAuthToken" in run.stderr


@pytest.mark.slow
def test_several_machines_without_a_token_are_refused_and_told_by_the_doctor(monkeypatch, tmp_path):
    monkeypatch.setenv("RAY_AUTH_MODE", "token")  # what this process has tells nothing of the cluster
    with head(RAY_AUTH_MODE="disabled") as address:
        with ray_session(Demand(address=address)):
            require_token()  # one machine, which somebody started so
        with ray_start(f"--address={address}", "--node-ip-address=127.0.0.3", RAY_AUTH_MODE="disabled"):
            study = Study(tmp_path, address=address)
            status, said = study.run()
            assert status == 2 and "cluster of 2 machines asks for no token" in said and "get-auth-token" in said
            assert study.rows() == []
            with ray_session(Demand(address=address)):
                monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
                require_token()
                findings = list(examine(Questions(address=address, store=str(tmp_path))))
    assert findings[0].what == "2 node(s) with 2 CPUs and 0 GPUs"
    (bad,) = [f for f in findings if not f.ok]
    assert "asks for a token" in bad.what and "get-auth-token" in bad.remedy


@pytest.mark.slow
def test_a_cluster_of_another_version_is_named_with_both(token):
    token(TOKEN)
    both = rf"Ray: 2\.99\.0 .* Ray: {ray.__version__} .*same lock file"
    with (
        head(version="2.99.0", RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=TOKEN) as address,
        pytest.raises(UserError, match=both),
        ray_session(Demand(address=address)),
    ):
        pass


@pytest.mark.slow
def test_a_study_of_gangs_on_this_machine_listens_to_no_other(tmp_path):
    study = Study(tmp_path, workers_per_trial=2, trials=1, epochs=20)
    process = study.start()
    try:
        study.wait_until(lambda: study.rows(), "no trial")
        started = processes(process.pid)
        assert sum("RayTrainWorker" in command for command in started.values()) == 2
        assert to_other_machines(started) == {}
    finally:
        process.send_signal(signal.SIGINT)
        ended(process)


def test_what_listens_there_and_is_no_ray_is_told_so():
    with socket.create_server((OTHERS, 0)) as other:

        def greet() -> None:
            with contextlib.suppress(OSError):  # until it is closed
                while True:
                    with other.accept()[0] as caller:
                        caller.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

        threading.Thread(target=greet, daemon=True).start()
        with pytest.raises(UserError, match=r"does not answer as the head of a Ray cluster.*leave --address out"):
            knock(f"{OTHERS}:{other.getsockname()[1]}")


@pytest.mark.parametrize("address", ["somewhere", "127.0.0.1:port", "http://x"])
def test_what_is_no_address_is_told_so(address):
    with pytest.raises(UserError, match=r'an address is "auto" or HOST:PORT'):
        knock(address)
