"""Nodes of Ray's on this machine, started as a user starts them: `ray start`."""

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator

from running import DEADLINE_S

OTHERS = "127.0.0.2"
"""To Ray an address like that of any network card; only this machine reaches it."""


def clean() -> dict[str, str]:
    """The environment without what Ray or earlier tests have put into it."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "GLOO_", "NCCL_"))}


def free_port() -> int:
    with socket.create_server((OTHERS, 0)) as free:
        return free.getsockname()[1]


@contextlib.contextmanager
def ray_start(*options: str, version: str = "", **settings: str) -> Iterator[subprocess.Popen]:
    """`ray start`, of another version if one is given, whose processes end with the context."""
    # Ray gives its agents 15 s to say which ports they chose, which on a busy machine are not enough: so we choose.
    ports = ("dashboard-agent-grpc", "dashboard-agent-listen", "metrics-export", "runtime-env-agent")
    chosen = [f"--{name}-port={free_port()}" for name in ports]
    program = (
        f"import ray; ray.__version__ = {version!r} or ray.__version__; from ray.scripts.scripts import main; main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, "start", "--block", "--num-cpus=1", *chosen, *options],
        # By itself Ray gives what runs there half a minute to go elsewhere when it is told to end.
        env=clean() | {"RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0"} | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        said = b""
        while b"--block" not in said:  # the last words of a node that has started
            line = process.stdout.readline()
            assert line, said.decode()
            said += line
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=DEADLINE_S)


@contextlib.contextmanager
def head(version: str = "", **settings: str) -> Iterator[str]:
    """A cluster's head; its address."""
    port = free_port()
    options = (f"--port={port}", f"--node-ip-address={OTHERS}", "--include-dashboard=false")
    with ray_start("--head", *options, version=version, **settings):
        yield f"{OTHERS}:{port}"
