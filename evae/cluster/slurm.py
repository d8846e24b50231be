"""What the doctor says where Slurm gives the machines out: does Ray use what the job has, and no more?"""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

from evae.cluster.finding import Finding

SCRIPT = "sbatch cluster-slurm.sh"
"""What starts Ray on all nodes of a job, with what the job has of each."""
ANSWER_S = 10.0
"""Slurm's commands ask again for a minute where nobody answers."""


def findings(there: Mapping[str, Any]) -> Iterator[Finding]:
    """The findings on Ray's nodes, by name; none where there is no Slurm."""
    if job := os.environ.get("SLURM_JOB_ID"):
        yield from _inside(job, there)
    elif _answers():
        yield Finding(True, f"Slurm is here, and this is none of its jobs: `{SCRIPT} study ...` trains on its machines")


def _inside(job: str, there: Mapping[str, Any]) -> Iterator[Finding]:
    """Ray started by itself knows of one machine, and takes all of its cores, whatever the job has of them."""
    count = int(os.environ.get("SLURM_JOB_NUM_NODES", 1))
    yield Finding(
        len(there) >= count,
        f"Ray uses {len(there)} of the {count} node(s) of Slurm's job {job}",
        f"let the job start Ray on all of them: {SCRIPT} study ...",
    )
    cores = int(os.environ.get("SLURM_CPUS_ON_NODE", os.cpu_count() or 1))
    more = {n: cpus for n, node in there.items() if (cpus := node["Resources"].get("CPU", 0)) > cores}
    said = "".join(f", {cpus:g} on {name}" for name, cpus in more.items())
    yield Finding(
        not more,
        f"Ray takes no more than the job's {cores} core(s) of a node{': no' + said if more else ''}",
        f"{SCRIPT} study ..., or --num-cpus={cores} where you start Ray yourself",
    )


def _answers() -> bool:
    """Whether jobs can be submitted from here."""
    if shutil.which("sbatch") is None:
        return False
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        return subprocess.run(["sinfo", "--noheader"], capture_output=True, timeout=ANSWER_S).returncode == 0
    return False
