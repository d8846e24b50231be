"""Studies by cluster-slurm.sh, on a real Slurm on this machine.

sudo python -m pytest -m slow tests/slurm
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from own_slurm import Job, Slurm, missing
from running import Study, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason=missing())]
TRIALS, EPOCHS = 4, 20


@pytest.fixture(scope="module")
def slurm(tmp_path_factory) -> Iterator[Slurm]:
    made = Slurm(tmp_path_factory.mktemp("slurm"))
    yield made
    made.remove()


def study_in(folder: Path, **options: object) -> Study:
    return Study(folder, trials=TRIALS, epochs=EPOCHS, train_images=1000, **options)


def arguments(study: Study) -> list[str]:
    """The command of `evae` that is this study."""
    return ["study", *study.command()[1:]]


def finished(study: Study) -> dict[str, object]:
    return {row["trial"]: row["ended_at"] for row in study.rows() if row["state"] == "finished"}


def wait_for_a_trial(study: Study, job: Job) -> None:
    """Until one has finished, and others are trained."""
    begun = Path(study.store.location)
    wait_until(lambda: job.state() not in ("PENDING", "RUNNING") or (begun.exists() and finished(study)), "no trial")
    assert job.state() == "RUNNING", job.said()


def assert_nothing_is_lost_and_nothing_twice(study: Study, before: dict[str, object]) -> None:
    assert set(study.states().values()) == {"finished"} and len(study.rows()) == TRIALS
    assert before.items() <= finished(study).items() and len(before) < TRIALS
    recorded = Counter((row["trial"], row["epoch"]) for row in study.rows("epochs"))
    assert recorded == {(trial, epoch): 1 for trial in study.states() for epoch in range(1, EPOCHS + 1)}


def assert_nothing_is_left(job: Job) -> None:
    assert not list(Path("/tmp").glob(f"ray-{job.number}-*"))


def test_a_study_on_two_nodes_that_is_preempted_goes_on_when_they_are_free_again(slurm, tmp_path):
    study = study_in(tmp_path)
    job = slurm.submit(arguments(study), nodes=2)
    wait_for_a_trial(study, job)
    first = slurm.run("sbatch", "--partition=high", "--nodes=3", "--exclusive", "--output=/dev/null", "--wrap=sleep 5")
    assert "Submitted" in first
    assert "Stopped before the end" in job.wait_for("PENDING", "FAILED") and job.state() == "PENDING"
    before = finished(study)
    assert "cancelled" in study.states().values()
    job.start_now()
    said = job.wait_for("COMPLETED", "FAILED")
    assert job.state() == "COMPLETED" and job.restarts() == 1, said
    assert f"{TRIALS} of {TRIALS} trials: {TRIALS} finished" in said, said
    assert "Not all nodes" not in said and study.rows("study")[0]["slots"] == 2
    assert_nothing_is_lost_and_nothing_twice(study, before)
    assert_nothing_is_left(job)


def test_a_study_of_which_a_node_is_lost_goes_on_when_there_is_another(slurm, tmp_path):
    study = study_in(tmp_path)
    job = slurm.submit(arguments(study), nodelist="n1,n2", nodes=2)
    wait_for_a_trial(study, job)
    before = finished(study)
    slurm.run("scontrol", "update", "NodeName=n2", "State=DOWN", "Reason=test")
    job.wait_for("PENDING", "NODE_FAIL", "FAILED")
    slurm.run("scontrol", "update", "NodeName=n2", "State=RESUME")
    job.start_now()
    said = job.wait_for("COMPLETED", "FAILED", "NODE_FAIL")
    assert (job.state(), job.restarts()) == ("COMPLETED", 1), said
    assert_nothing_is_lost_and_nothing_twice(study, before)


def test_of_two_jobs_on_a_node_the_one_that_is_told_to_stop_is_requeued_and_the_other_goes_on(slurm, tmp_path):
    studies = [study_in(tmp_path / name) for name in ("first", "second")]
    jobs = [slurm.submit(arguments(study), nodes=1, nodelist="n1") for study in studies]
    for study, job in zip(studies, jobs, strict=True):
        wait_for_a_trial(study, job)
    slurm.run("scancel", "--batch", "--signal=USR1", jobs[0].number)
    assert "Stopped before the end" in jobs[0].wait_for("PENDING", "FAILED") and jobs[0].state() == "PENDING"
    before = finished(studies[0])
    jobs[0].start_now()
    for job, restarts in zip(jobs, (1, 0), strict=True):
        said = job.wait_for("COMPLETED", "FAILED")
        assert (job.state(), job.restarts()) == ("COMPLETED", restarts), said
        assert_nothing_is_left(job)
    assert_nothing_is_lost_and_nothing_twice(studies[0], before)
    assert set(studies[1].states().values()) == {"finished"}


def test_a_cancelled_job_is_not_requeued_and_keeps_what_is_finished(slurm, tmp_path):
    """Slurm tells Ray's head and the study to end at once: what the study still says depends on who is faster."""
    study = study_in(tmp_path)
    job = slurm.submit(arguments(study), nodes=1)
    wait_for_a_trial(study, job)
    before = finished(study)
    slurm.run("scancel", job.number)
    said = job.wait_for("CANCELLED")
    wait_until(slurm.idle, "the job does not end")
    assert (job.state(), job.restarts()) == ("CANCELLED", 0), said
    assert before.items() <= finished(study).items()
    assert_nothing_is_left(job)


def test_the_doctor_asks_all_nodes_of_the_job(slurm, tmp_path):
    job = slurm.submit(["doctor", "--store", str(tmp_path)], nodes=2)
    said = job.wait_for("COMPLETED", "FAILED")
    assert job.state() == "COMPLETED", said
    assert "2 node(s) with 2 CPUs" in said and "asks for a token" in said, said
    assert "Ray uses 2 of the 2 node(s)" in said and "Ray takes no more than the job's 1 core(s)" in said, said


def test_ray_has_the_gpus_that_the_job_has(slurm, tmp_path):
    job = slurm.submit(["doctor", "--store", str(tmp_path)], **{"nodes": 2, "gpus-per-node": 1})
    assert "2 node(s) with 2 CPUs and 2 GPUs" in job.wait_for("COMPLETED", "FAILED"), job.said()


def test_a_mistyped_option_ends_the_job_with_one_message(slurm, tmp_path):
    job = slurm.submit(["study", "kernel-sweep", "--trails", "3", "--results", str(tmp_path)], nodes=1)
    said = job.wait_for("COMPLETED", "FAILED")
    assert job.state() == "FAILED" and "--trails" in said and "Traceback" not in said, said
    assert_nothing_is_left(job)
