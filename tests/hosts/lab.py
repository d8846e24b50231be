"""Several machines on this one (hosts.sh), and `ray up` with the cluster file for machines one owns."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from running import DEADLINE_S, ROOT, wait_until

NEEDS = ("unshare", "nsenter", "ip", "ssh", "ssh-keygen", "rsync", "/usr/sbin/sshd")
TOKEN_MODE = "RAY_AUTH_MODE=token"
INSTALL = "cd ~/evae && make .venv/installed"
"""The one setup command that is replaced, since the hosts have no package index."""


def missing() -> str:
    """What this machine lacks for a lab; empty where there is nothing."""
    if os.geteuid() != 0:
        return "needs root"
    lacking = [name for name in NEEDS if shutil.which(name) is None]
    return f"needs {', '.join(lacking)}" if lacking else ""


class Lab:
    """Hosts 10.99.0.1, 10.99.0.2, ... and commands run beside them, as on the laptop of who owns them."""

    def __init__(self, folder: Path, hosts: int):
        self.folder, self.hosts = folder, hosts
        self.laptop = folder / "laptop"
        self.laptop.mkdir()
        script = Path(__file__).with_name("hosts.sh")
        with open(folder / "log", "wb") as log:
            self.process = subprocess.Popen(
                [script, folder, str(hosts)], stdout=log, stderr=log, start_new_session=True
            )
        wait_until(
            lambda: (folder / "ready").exists() or self.process.poll() is not None,
            f"the hosts do not come up: {(folder / 'log').read_text()}",
        )
        assert self.process.poll() is None, (folder / "log").read_text()

    def remove(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def command(self, *command: Any) -> subprocess.Popen:
        """Started beside the hosts, in a home of its own, with none of this machine's clusters and tokens."""
        inside = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().strip()
        env = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
        return subprocess.Popen(
            ["nsenter", "--target", inside, "--net", "--pid", "--mount", f"--wdns={ROOT}", *map(str, command)],
            cwd=ROOT,
            env=env | {"HOME": str(self.laptop), "RAY_USAGE_STATS_ENABLED": "0"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *command: Any, seconds: float = DEADLINE_S) -> tuple[int, str]:
        """(exit status, everything said)."""
        process = self.command(*command)
        try:
            said, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            raise AssertionError(f"{command} takes too long: {process.communicate()[0]}") from None
        return process.returncode, said

    def on(self, host: int, command: str) -> str:
        """What a shell on a host says."""
        options = ("-q", "-i", self.folder / "key", "-o", "StrictHostKeyChecking=no")
        status, said = self.run("ssh", *options, "-o", "UserKnownHostsFile=/dev/null", f"root@10.99.0.{host}", command)
        assert status == 0, said
        return said

    def cut_off(self, host: int) -> None:
        assert self.run("ip", "link", "set", f"v{host}", "down")[0] == 0

    def bring_back(self, host: int) -> None:
        assert self.run("ip", "link", "set", f"v{host}", "up")[0] == 0


class OwnCluster:
    """cluster-own.yaml with this lab's values where it says `<--`, and Ray's commands for it."""

    def __init__(self, lab: Lab):
        self.lab, self.file = lab, lab.laptop / "cluster-own.yaml"
        self.file.write_text(yaml.safe_dump(own_file(lab)))

    def ray(self, *arguments: str, seconds: float = DEADLINE_S) -> tuple[int, str]:
        return self.lab.run(*self.command(*arguments), seconds=seconds)

    def command(self, name: str, *arguments: str) -> tuple[Any, ...]:
        given = ("-y",) if name in ("up", "down") else ()
        fresh = ("--no-config-cache",) if name == "up" else ()
        return (Path(sys.executable).with_name("ray"), name, *given, *fresh, self.file, *arguments)

    def up(self) -> str:
        """Start it, and wait until all machines have joined; what `ray up` said."""
        for _ in range(4):  # that time is not enough where this machine is busy
            status, said = self.ray("up")
            if status == 0:
                break
        assert status == 0, said
        nodes = f"print(sum(n['Alive'] for n in __import__('ray').nodes()) >= {self.lab.hosts} or 'not yet')"
        there = "import ray; ray.init('auto', log_to_driver=False); " + nodes
        wait_until(lambda: "True" in self.lab.on(1, f'{TOKEN_MODE} ~/evae/.venv/bin/python -c "{there}"'), said)
        return said

    def python(self, line: str) -> tuple[int, str]:
        """As the README does it: a command of the project on the cluster's head."""
        return self.ray("exec", in_project(line))


def in_project(line: str) -> str:
    return f"cd evae && .venv/bin/python {line}"


def own_file(lab: Lab) -> dict[str, Any]:
    """The shipped file, changed as little as can be."""
    config = yaml.safe_load((ROOT / "cluster-own.yaml").read_text())
    workers = [f"10.99.0.{n}" for n in range(2, lab.hosts + 1)]
    config["provider"] |= {"head_ip": "10.99.0.1", "worker_ips": workers}
    config["auth"] |= {"ssh_user": "root", "ssh_private_key": str(lab.folder / "key")}
    config |= {"min_workers": len(workers), "max_workers": len(workers)}
    setup = config["setup_commands"]
    setup[setup.index(INSTALL)] = " && ".join(installing())
    # All hosts share the cores of one machine: one core each, and no dashboard, which is a dozen processes. Ray gives
    # the parts of a node 15 s to come up.
    for key, less in (("head_start_ray_commands", " --include-dashboard=false"), ("worker_start_ray_commands", "")):
        few = f"ray start --num-cpus=1 --object-store-memory=200000000{less}"
        config[key] = [line.replace("ray start", few) for line in config[key]]
    return config


def installing() -> Iterator[str]:
    """Commands that put this Python in the place of a virtual environment: hosts see the same file system."""
    yield "mkdir -p ~/evae/.venv/bin"
    for name in ("python", "ray"):
        real = Path(sys.executable).with_name(name)
        script = f'#!/bin/sh\\nPYTHONPATH=~/evae exec {real} "$@"\\n'
        yield f"printf '{script}' > ~/evae/.venv/bin/{name}"
        yield f"chmod +x ~/evae/.venv/bin/{name}"
