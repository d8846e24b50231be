"""Real studies with real Ray in processes of their own: what they leave, and what they survive."""

import contextlib
import io
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from running import Study, ended, processes

from evae.backbones.names import DISTANCES
from evae.checkpoints import load_model
from evae.metrics.cost import is_cost
from evae.search.objectives import directions, labels_of, objective_column

NOISE = re.compile(r"warn|ray|traceback|deprecat|\berror\b|\bINFO\b|pid=|\(.*Trainable", re.IGNORECASE)
"""What nobody wants to read on the console of a study."""


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> tuple[Study, int, str]:
    """A small study, run once for this module."""
    study = Study(tmp_path_factory.mktemp("done"))
    return study, *study.run()


def test_a_study_ends_with_its_report(done):
    study, status, said = done
    assert status == 0
    report = study.folder / "kernel-sweep" / "report.html"
    assert said.rstrip().endswith(f"report: {report}")
    assert report.read_text(encoding="utf-8").lstrip().startswith("<!")


def test_the_console_says_what_happens_and_nothing_else(done):
    study, _, said = done
    lines = said.replace(str(study.folder), "").splitlines()
    assert [line for line in lines if NOISE.search(line)] == []
    assert re.search(r"kernel-sweep: 4 configurations x 1 seed, 1 epoch each", said)
    assert re.search(r"trials 4/4.*best val_rec_sharpness [\d.e-]+ \(.+\); best val_distortion_nats [\d.]+", said)
    assert "4 of 4 trials: 4 finished" in said
    assert len(lines) < 20


def test_there_are_rows_of_every_kind_for_every_trial(done):
    study = done[0]
    trials = {row["trial"]: row for row in study.rows()}
    assert len(trials) == 4 and set(study.states().values()) == {"finished"}
    assert [trials[t]["number"] for t in sorted(trials, key=lambda t: trials[t]["number"])] == [0, 1, 2, 3]
    assert all(row["label"] for row in trials.values())
    for kind, each in (("epochs", 1), ("images", 6)):
        rows = study.rows(kind)
        assert {row["trial"] for row in rows} == set(trials) and len(rows) == 4 * each
    assert study.store.unreadable == []


def test_pictures_decode_and_weights_load(done):
    study = done[0]
    for row in study.rows("images"):
        size = Image.open(io.BytesIO(row["png"])).size
        assert size == (row["columns"] * row["image_size"], row["rows"] * row["image_size"])
    for row in study.rows():
        model = load_model(f"{study.store.root}/weights/{row['trial']}.safetensors")
        assert model.posterior.family == row["method"] and model.latent == 4
        assert sum(p.numel() for p in model.parameters()) == row["parameters"]


def test_objectives_that_can_be_searched_for_are_columns_of_the_trials(done):
    """On the validation split too, but for samples of a density, which this search does not look at. Accuracies,
    likelihoods, costs and perceptual distances are measured where they are asked for, some metrics of codes where the
    posterior has them."""
    row, names = done[0].rows()[0], [name for name in directions() if not (labels_of(name) or is_cost(name))]
    columns = {objective_column(name, "efficientnet_lite0_b2", "mixture") for name in names}
    columns -= {"elbo_nats", "nll_nats", "bits_per_dim"}
    columns -= {"kl_units", "lifetime_sparseness", "population_sparseness", "zeros_share"}
    columns -= {f"rec_{name}" for name in DISTANCES}
    missing = {f"{p}{c}" for p in ("", "val_") for c in columns if row.get(f"{p}{c}") is None}
    assert missing == {f"val_{column}" for column in columns if column.startswith("xpd_mixture_")}


def test_the_manifest_closes_as_finished(done):
    sessions = done[0].rows("study")
    assert [s["state"] for s in sessions] == ["finished"]
    row = sessions[0]
    assert row["ended_at"] > row["started_at"] and row["wall_s"] > 0 and 1 <= row["slots"] <= os.cpu_count()
    assert json.loads(row["data"])["n_test"] == 50
    assert json.loads(row["objectives"]) == [["rec_sharpness", "max"], ["distortion_nats", "min"]]
    assert row["question"].endswith("?") and "studies/kernel_sweep.py" in row["command"]


def test_no_more_trials_at_a_time_than_slots(done):
    study = done[0]
    slots = study.rows("study")[0]["slots"]
    rows = study.rows()
    for row in rows:
        others = [r for r in rows if r["started_at"] < row["started_at"] < r["ended_at"]]
        assert len(others) < slots
    assert len({row["slot"] for row in rows}) <= slots  # reused actors, not a process a trial


def test_another_option_is_refused_with_the_difference_in_a_process_of_its_own(done):
    study = done[0]
    before = study.rows("study")
    status, said = study.run(latent=5)
    assert status == 2 and said.startswith("error:")
    assert "recipe.latent: 4 then, 5 now" in said and "--name" in said and "Traceback" not in said
    assert study.rows("study") == before


@pytest.mark.slow
def test_the_same_command_trains_nothing_and_a_larger_one_only_what_is_new(done):
    study = done[0]
    before = {row["trial"]: row["ended_at"] for row in study.rows()}
    report = study.folder / "kernel-sweep" / "report.html"
    report.unlink()
    status, said = study.run()
    assert status == 0 and report.exists() and "4 of 4 trials: 4 finished" in said
    assert {row["trial"]: row["ended_at"] for row in study.rows()} == before

    status, said = study.run(trials=6)
    assert status == 2 and "--extend" in said
    status, said = study.run(trials=6, extend="")
    after = {row["trial"]: row for row in study.rows()}
    assert status == 0 and len(after) == 6 and "6 of 6 trials: 6 finished" in said
    assert {name: after[name]["ended_at"] for name in before} == before
    assert sorted(row["number"] for row in after.values()) == list(range(6))
    assert [s["state"] for s in study.rows("study")] == ["finished"] * 3


@pytest.mark.slow
def test_claims_are_decided_by_fresh_seeds_and_one_that_comes_later_by_seeds_of_its_own(tmp_path):
    study = Study(tmp_path, trials=2, claims=["EVAE, paper > VAE in rec_sharpness"], until="decided", budget=0.1)
    study.start()
    study.wait_until(lambda: len(study.rows()) > 5, "no fresh seed was trained")
    os.kill(study.process.pid, signal.SIGKILL)
    ended(study.process)
    first = study.rows("study")[0]
    assert json.loads(first["claims"])[0]["trials"] == 0 and first["started_at"] < study.rows()[0]["started_at"]
    status, said = study.run()
    fresh = sorted(row["seed"] for row in study.rows() if row["role"] == "confirm" and row["state"] == "finished")
    assert status == 0 and re.search("(holds|undecided): EVAE, paper > VAE in rec_sharpness", said), said
    assert "All is decided." in said or "the budget of 0.1 hours of training is spent" in said
    assert fresh == sorted(2 * list(range(1000, fresh[-1] + 1)))
    status, said = study.run(claims=["VAE < 2 * EVAE, paper in rec_sharpness"], until=None, budget=None)
    late = json.loads(study.rows("study")[-1]["claims"])[1]
    assert status == 0 and late["first_seed"] == fresh[-1] + 1 and "VAE < 2 * EVAE, paper in rec_sharpness" in said
    after = [row["seed"] for row in study.rows() if row["seed"] > fresh[-1]]
    assert sorted(after) == [fresh[-1] + 1] * 2 + [fresh[-1] + 2] * 2


@pytest.fixture
def long(tmp_path) -> Study:
    """A study whose trials take long enough to be met while they run."""
    return Study(tmp_path, epochs=15, trials=5, size="small", trials_at_once=2)


def in_the_middle(study: Study) -> dict[str, object]:
    """Once a trial has finished and another has begun since: the finished ones with their ends.

    One that began earlier may be about to finish, which takes less time than the end of its process.
    """

    def reached() -> dict[str, object]:
        rows = study.rows()
        finished = {row["trial"]: row["ended_at"] for row in rows if row["state"] == "finished"}
        begun = [row["started_at"] for row in rows if row["state"] == "running"]
        return finished if finished and begun and max(begun) > min(finished.values()) else {}

    return study.wait_until(reached, "no trial began after another had finished")


def assert_complete(study: Study, finished_before: dict[str, object]) -> None:
    """Every trial ended, once; those that had finished were not touched."""
    rows = {row["trial"]: row for row in study.rows()}
    assert len(rows) == 5
    assert {name: rows[name]["ended_at"] for name in finished_before} == finished_before
    assert all(rows[name]["attempt"] == 1 for name in finished_before)
    epochs = [(row["trial"], row["epoch"]) for row in study.rows("epochs")]
    complete = [name for name, row in rows.items() if row["state"] == "finished"]
    assert sorted(e for e in epochs if e[0] in complete) == sorted((n, e) for n in complete for e in range(1, 16))
    weights = {path.stem for path in (study.folder / "kernel-sweep" / "weights").iterdir()}
    assert weights == set(complete)
    assert not list((study.folder / "kernel-sweep" / "checkpoints").glob("*"))


@pytest.mark.slow
def test_kill_nine_of_the_driver_loses_no_finished_trial_and_runs_none_twice(long):
    process = long.start()
    finished = in_the_middle(long)
    process.kill()
    ended(process)
    assert long.rows("study")[0]["state"] == "running"  # nobody was left to say otherwise
    status, said = long.run()
    assert status == 0 and "5 of 5 trials: 5 finished" in said
    assert_complete(long, finished)
    assert max(row["attempt"] for row in long.rows()) == 2
    assert sorted(s["state"] for s in long.rows("study")) == ["finished", "running"]


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_finished_and_a_lost_worker_costs_no_trial(long):
    process = long.start()
    finished = in_the_middle(long)
    os.killpg(process.pid, signal.SIGINT)
    status, said = ended(process)
    assert status == 130 and "The same command continues the study" in said and "report: " in said
    assert not re.search("traceback|keyboardinterrupt", said, re.IGNORECASE)
    states = long.states()
    assert set(states.values()) == {"finished", "cancelled"}
    assert all(row["ended_at"] for row in long.rows())
    assert [s["state"] for s in long.rows("study")] == ["stopped"]

    process = long.start()
    lost = long.wait_until(lambda: [r for r in long.rows() if r["state"] == "running"], "nothing is trained")[0]
    worker = int(lost["slot"].rpartition(":")[2])
    assert worker in processes(process.pid)
    os.kill(worker, signal.SIGKILL)
    status, said = ended(process)
    assert status == 0 and "5 of 5 trials: 5 finished" in said and "Traceback" not in said
    assert f"{lost['trial']} starts again: its process died" in said
    assert {row["trial"]: row["restarts"] for row in long.rows() if row["restarts"]} == {lost["trial"]: 1}
    assert_complete(long, finished)


@pytest.mark.slow
def test_ctrl_c_before_the_first_trial_is_no_stack_trace(tmp_path):
    study = Study(tmp_path)
    process = study.start()
    study.wait_until(lambda: (tmp_path / "kernel-sweep" / ".lock").exists(), "the study did not start")
    os.killpg(process.pid, signal.SIGINT)
    status, said = ended(process)
    assert status == 130 and "Traceback" not in said and "Stopped" in said
    assert "running" not in [s["state"] for s in study.rows("study")]


@pytest.mark.slow
def test_a_diverging_study_ends_with_recorded_reasons_and_a_report(tmp_path):
    study = Study(tmp_path, learning_rate=1e20, trials=2, epochs=3)
    status, said = study.run()
    assert status == 0 and "2 of 2 trials: 2 diverged" in said and "report: " in said
    assert [line for line in said.replace(str(tmp_path), "").splitlines() if NOISE.search(line)] == []
    for row in study.rows():
        assert row["state"] == "diverged" and re.search(r"became (nan|inf|-inf) in epoch \d", row["reason"])
        assert row["ended_at"] is not None and row.get("gen_sharpness") is None


@pytest.mark.slow
def test_the_time_limit_stops_a_study_that_can_be_continued(long):
    status, said = long.run(time_limit=1, epochs=2000)
    assert status == 0 and "The same command continues the study" in said and "Traceback" not in said
    assert set(long.states().values()) == {"cancelled"}
    assert [s["state"] for s in long.rows("study")] == ["stopped"]


@pytest.mark.slow
def test_a_trial_that_loses_its_process_too_often_is_given_up_and_the_study_goes_on(long):
    process = long.start(max_failures=1, trials=2, trials_at_once=1)
    for restarts in (0, 1):
        row = long.wait_until(lambda n=restarts: [r for r in long.rows() if r["restarts"] == n], "it does not run")[0]
        os.kill(int(row["slot"].rpartition(":")[2]), signal.SIGKILL)
    status, said = ended(process)
    assert status == 0 and "2 of 2 trials: 1 failed, 1 finished" in said
    given_up = next(r for r in long.rows() if r["state"] == "failed")
    assert given_up["reason"].startswith("its process died") and given_up["restarts"] == 1 and given_up["ended_at"]


@pytest.mark.slow
def test_a_machine_that_runs_out_of_memory_costs_its_trials_and_says_why(tmp_path, monkeypatch):
    # Ray's own watch over the machine's memory, told that a thousandth of it is all there is.
    monkeypatch.setenv("RAY_memory_usage_threshold", "0.001")
    monkeypatch.setenv("RAY_memory_monitor_refresh_ms", "100")
    study = Study(tmp_path, trials=2, max_failures=0, trials_at_once=1)
    status, said = study.run()
    assert status == 0 and "2 of 2 trials: 2 failed" in said and "Traceback" not in said, said
    assert all(row["reason"].startswith("out of memory") for row in study.rows()), study.rows()


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A file system of 24 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("only root can mount a small file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.slow
def test_a_disk_that_is_full_for_a_while_costs_nothing_but_the_while(small_disk):
    study = Study(small_disk, trials=3, epochs=6, trials_at_once=2)
    process = study.start()
    finished = in_the_middle(study)
    filling = small_disk / "filling"
    with contextlib.suppress(OSError), filling.open("wb", buffering=0) as sink:
        while True:
            sink.write(bytes(4096))
    said = []
    while not said or "Trials wait until then" not in said[-1]:
        said.append(process.stdout.readline())
        assert said[-1], "the study ended without a word"
    assert "No space left" in said[-1]
    filling.unlink()
    status, rest = ended(process)
    assert status == 0, rest
    assert "results can be written again" in rest and "3 of 3 trials: 3 finished" in rest
    rows = {row["trial"]: row for row in study.rows()}
    assert {name: rows[name]["ended_at"] for name in finished} == finished
    assert {row["attempt"] for row in rows.values()} == {1} and not any(row["restarts"] for row in rows.values())
