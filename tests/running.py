"""Studies from the command line, as a user runs them, and what they leave behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evae.results.store import Store

ROOT = Path(__file__).parents[1]
TINY = {
    "train-images": 200,
    "validation-images": 50,
    "test-images": 50,
    "epochs": 1,
    "size": "tiny",
    "latent": 4,
    "trials": 4,
    "seeds": 1,
    "confirm": 0,
    "features": "efficientnet-lite0-b2",
}
OBJECTIVES = ("rec_sharpness", "distortion_nats")
DEADLINE_S = 1800.0
"""Nothing takes so long on however busy a machine; it keeps what hangs from hanging the tests."""


class Study:
    """`python studies/kernel_sweep.py`, or another `script`, with its results below `folder`, in processes of its own.

    An option that is None is not given.
    """

    def __init__(self, folder: Path, script: str = "kernel_sweep", **options: Any):
        self.folder, self.script = folder, script
        self.options = TINY | {n.replace("_", "-"): v for n, v in options.items()}
        self.store = Store(folder / script.replace("_", "-"))

    def command(self, **changes: Any) -> list[str]:
        options = self.options | {n.replace("_", "-"): v for n, v in changes.items()}
        objectives = options.pop("objectives", OBJECTIVES)
        claims = [f"--claim={text}" for text in options.pop("claims", ())]
        given = [
            text for name, value in options.items() if value is not None for text in (f"--{name}", *str(value).split())
        ]
        results = [] if "results" in options else ["--results", str(self.folder)]
        return [sys.executable, f"studies/{self.script}.py", *results, *given, *claims, "--objectives", *objectives]

    def start(self, **changes: Any) -> subprocess.Popen:
        """In a session of its own, so that a signal to its group is the terminal's Ctrl-C."""
        self.process = subprocess.Popen(
            self.command(**changes),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            # A shell lets what runs in its background ignore Ctrl-C, and the study would inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            env=os.environ | {"CUDA_VISIBLE_DEVICES": "", "PYTHONWARNINGS": "default"},
        )
        return self.process

    def wait_until(self, true: Callable[[], Any], otherwise: str) -> Any:
        """What `true` returns once it is true, while the study that was started runs."""
        found = wait_until(lambda: true() or self.process.poll() is not None, otherwise)
        if self.process.poll() is not None and not (found := true()):
            pytest.fail(f"{otherwise}, and the study has ended: {self.process.communicate()[0]}")
        return found

    def run(self, **changes: Any) -> tuple[int, str]:
        """(exit status, everything on the console); no process of it is left behind."""
        return ended(self.start(**changes))

    def rows(self, kind: str = "trials") -> list[dict[str, Any]]:
        return self.store.read(kind).to_pylist()

    def states(self) -> dict[str, str]:
        return {row["trial"]: row["state"] for row in self.rows()}


def ended(process: subprocess.Popen) -> tuple[int, str]:
    """Wait for a study to end, and all its processes with it. After a kill -9, Ray's own agents stay a minute."""
    try:
        output, _ = process.communicate(timeout=DEADLINE_S)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)

    wait_until(lambda: not processes(process.pid), "a process of the study is left behind")
    return process.returncode, output


def processes(session: int) -> dict[int, str]:
    """The live processes of a session, by id: their command lines."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] != "Z":
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                found[int(entry.name)] = command.strip()
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def wait_until(true: Callable[[], Any], otherwise: str) -> Any:
    """What `true` returns once it is true; fails with `otherwise` if that never comes."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        if value := true():
            return value
        time.sleep(0.2)
    pytest.fail(otherwise)
