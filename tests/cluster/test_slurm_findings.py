"""What the doctor says inside and outside of Slurm's jobs; a real Slurm is in tests/slurm."""

import pytest

from evae.cluster import slurm


@pytest.fixture
def job(monkeypatch):
    """A job of two nodes, 8 cores on each."""
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_JOB_NUM_NODES", "2")
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "8")


def rays(*cpus: int) -> dict:
    return {f"n{number}": {"Resources": {"CPU": count}} for number, count in enumerate(cpus, 1)}


def test_a_job_whose_nodes_all_are_rays_with_the_jobs_cores_is_fit(job):
    assert [f.ok for f in slurm.findings(rays(8, 8))] == [True, True]


def test_ray_on_one_node_of_two_with_all_of_its_cores_is_told_with_what_to_do(job):
    nodes, cores = slurm.findings(rays(64))
    assert not nodes.ok and "1 of the 2 node(s) of Slurm's job 7" in nodes.what and slurm.SCRIPT in nodes.remedy
    assert not cores.ok and "8 core(s) of a node: no, 64 on n1" in cores.what and "--num-cpus=8" in cores.remedy


def test_where_jobs_can_be_submitted_the_doctor_says_how(monkeypatch, tmp_path):
    for name, status in (("sbatch", 0), ("sinfo", 0)):
        (tmp_path / name).write_text(f"#!/bin/sh\nexit {status}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    (found,) = slurm.findings(rays(2))
    assert found.ok and slurm.SCRIPT in found.what
    (tmp_path / "sinfo").write_text("#!/bin/sh\nexit 1\n")
    assert list(slurm.findings(rays(2))) == []


def test_where_there_is_no_slurm_nothing_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    assert list(slurm.findings(rays(2))) == []
