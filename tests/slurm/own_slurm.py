"""A real Slurm on this machine (slurm.sh): nodes of two cores and a GPU that is none, and jobs of cluster-slurm.sh."""

import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from running import ROOT, wait_until

NEEDS = ("unshare", "munged", "slurmctld", "slurmd", "sbatch")
NODES = ("n1", "n2", "n3")
CONFIGURATION = """
ClusterName=lab
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
FirstJobId={port}0
SlurmUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
GresTypes=gpu
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=600
PartitionName=low Nodes=ALL Default=YES PriorityTier=1 GraceTime=600
PartitionName=high Nodes=ALL PriorityTier=2
"""
"""A job that is preempted, or ended, has ten minutes for it: this machine may be busy. Numbers of jobs are in names of
folders in /tmp, where other Slurms may have left some."""


def missing() -> str:
    """What this machine lacks for a Slurm; empty where there is nothing."""
    if os.geteuid() != 0:
        return "needs root"
    lacking = [name for name in NEEDS if shutil.which(name) is None]
    return f"needs {', '.join(lacking)}: apt-get install slurm-wlm munge" if lacking else ""


class Slurm:
    """Nodes n1 to n3, partitions `low` (the default) and `high`, which preempts it, and commands for them."""

    def __init__(self, folder: Path):
        self.folder, self.home = folder, folder / "home"
        for name in (self.home, folder / "state"):
            name.mkdir()
        host, ports = socket.gethostname(), free_ports(1 + len(NODES))
        each = (
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=2 RealMemory=8000 Gres=gpu:1"
            for node, port in zip(NODES, ports[1:], strict=True)
        )
        text = CONFIGURATION.format(host=host, port=ports[0], folder=folder)
        (folder / "slurm.conf").write_text("\n".join([text, *each, ""]))
        (folder / "gres.conf").write_text("Name=gpu File=/dev/null\n")
        with open(folder / "log", "wb") as log:
            self.process = subprocess.Popen([Path(__file__).with_name("slurm.sh"), folder], stdout=log, stderr=log)
        wait_until(lambda: self.process.poll() is not None or self.idle(), "Slurm does not start")
        assert self.process.poll() is None, (folder / "log").read_text()

    def remove(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def idle(self) -> bool:
        return self.run("sinfo", "--noheader", "--format=%T", "--partition=low").strip() == "idle"

    def run(self, *command: Any) -> str:
        """What a command says, in a home of its own, with none of this machine's clusters and tokens."""
        env = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "SLURM_", "GLOO_"))}
        env |= {"SLURM_CONF": str(self.folder / "slurm.conf"), "HOME": str(self.home)}
        return subprocess.run(
            [*map(str, command)], env=env, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ).stdout

    def submit(self, arguments: Sequence[str], **options: Any) -> "Job":
        """A job of cluster-slurm.sh with these options of sbatch, of one core and 3 GB a node."""
        given = {"cpus-per-task": 1, "mem": "3G", "output": self.folder / "%j.log"} | options
        said = self.run("sbatch", *(f"--{k}={v}" for k, v in given.items()), "cluster-slurm.sh", *arguments)
        found = re.search(r"Submitted batch job (\d+)", said)
        assert found, said
        return Job(self, found[1])


class Job:
    """A job, by its number."""

    def __init__(self, slurm: Slurm, number: str):
        self.slurm, self.number = slurm, number

    def state(self) -> str:
        """RUNNING, PENDING, COMPLETED, ..."""
        found = re.search(r"JobState=(\w+)", self.slurm.run("scontrol", "show", "job", self.number))
        return found[1] if found else ""

    def restarts(self) -> int:
        return int(re.search(r"Restarts=(\d+)", self.slurm.run("scontrol", "show", "job", self.number))[1])

    def said(self) -> str:
        log = self.slurm.folder / f"{self.number}.log"
        return log.read_text() if log.exists() else ""

    def wait_for(self, *states: str) -> str:
        """Wait until it is in one of these states; what it has said."""
        wait_until(lambda: self.state() in states, f"job {self.number} is not {states}")
        return self.said()

    def start_now(self) -> None:
        """Slurm lets a requeued job wait for two minutes."""
        self.slurm.run("scontrol", "update", f"JobId={self.number}", "StartTime=now")


def free_ports(count: int) -> list[int]:
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in taken]
    for each in taken:
        each.close()
    return ports
