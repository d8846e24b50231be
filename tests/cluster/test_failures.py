"""What the driver does about trials whose process died, and about results that cannot be written."""

import io
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from tiny import tiny_recipe

from evae.cluster import failures, losses
from evae.cluster.failures import Failures, latest
from evae.cluster.losses import loss
from evae.cluster.tune import Order
from evae.errors import UserError
from evae.results.rows import opening_row
from evae.results.store import Store
from evae.search.job import Job

RECIPE = tiny_recipe()


def job(attempt: int = 1) -> Job:
    return Job(RECIPE.configuration(), 2, 0, attempt, {"beta": 1.0}, RECIPE.to_dict(), "control", "VAE")


@pytest.fixture
def store(tmp_path) -> Store:
    made = Store(tmp_path / "study")
    made.prepare()
    return made


class Machines:
    """Room for as many trials as one says."""

    need = "1 worker(s)"
    gpus = 1.0

    def __init__(self, fit: int = 2) -> None:
        self.fit = fit

    def now(self) -> int:
        return self.fit


def watching(store: Store, stopped: Mapping[str, str] | None = None, max_failures: int = 0) -> Failures:
    console = Console(file=io.StringIO(), width=500)
    return Failures("study", store, Machines(), console, {} if stopped is None else stopped, max_failures)


def test_a_study_that_has_to_wait_for_its_first_machine_says_so(store):
    console = Console(file=io.StringIO(), width=500)
    Failures("study", store, Machines(0), console, {}, 2)
    assert console.file.getvalue().startswith("no machine has room for a trial yet, which takes 1 worker(s)")


def said(by: Failures) -> str:
    return by.console.file.getvalue()


KILLED = "The actor died unexpectedly before finishing this task."
CUT_OFF = f"{KILLED}\n\tpid: 7\nThe actor died because its node has died. Node Id: 3f"


def tune_trial(of: Job, folder: Path, error: str = KILLED) -> Any:
    """A trial as Tune has it, with the file that Tune appends its errors to."""
    file = folder / "error.txt"
    file.write_text(f"Failure # 1 (occurred at noon)\nits node has died\nFailure # 1 (occurred at one)\n{error}\n")
    return SimpleNamespace(trial_id=of.trial, config={"job": of}, error_file=str(file))


def lose(store: Store, lost: Job) -> dict:
    watching(store).on_trial_recover(0, [], tune_trial(lost, Path(store.root).parent))
    rows = store.rows("trials", lost.trial)
    assert len(rows) == 1
    return rows[0]


def test_a_trial_lost_while_it_ran_keeps_its_row_and_gets_a_reason(store):
    store.write("trials", job().trial, [opening_row("study", job()) | {"epochs": 7, "slot": "host:1"}])
    store.write_bytes("checkpoints", f"{job().trial}.safetensors", b"no longer needed")
    row = lose(store, job())
    assert row["state"] == "failed" and "its process died" in row["reason"] and row["ended_at"]
    assert row["epochs"] == 7 and row["slot"] == "host:1"
    assert store.read_bytes("checkpoints", f"{job().trial}.safetensors") is None
    assert row["traceback"] == KILLED


def test_a_trial_lost_before_it_began_is_recorded_too(store):
    row = lose(store, job())
    assert row["state"] == "failed" and row["label"] == "VAE" and row["param_beta"] == 1.0 and row["number"] == 2


def test_a_second_attempt_lost_before_it_began_is_not_mistaken_for_the_first(store):
    store.write("trials", job().trial, [opening_row("study", job()) | {"state": "cancelled"}])
    row = lose(store, job(attempt=2))
    assert row["state"] == "failed" and row["attempt"] == 2


def test_a_trial_stopped_at_a_rung_is_recorded_with_the_rung_and_its_place(store, tmp_path):
    stopped, trial = {}, tune_trial(job(), tmp_path)
    made = watching(store, stopped)
    store.write("trials", job().trial, [opening_row("study", job()) | {"epochs": 3}])
    store.write_bytes("checkpoints", f"{job().trial}.safetensors", b"no longer needed")
    made.on_trial_complete(0, [], trial)  # as at the time limit: it has not ended
    assert [row["state"] for row in store.rows("trials", job().trial)] == ["running"]
    stopped[job().trial] = "stopped at the rung after epoch 3: place 5 of 6"
    made.on_trial_complete(0, [], trial)
    (row,) = store.rows("trials", job().trial)
    assert row["state"] == "stopped" and row["reason"].endswith("epoch 3: place 5 of 6") and row["ended_at"]
    assert row["epochs"] == 3 and store.read_bytes("checkpoints", f"{job().trial}.safetensors") is None


def test_a_trial_that_had_finished_stays_finished(store):
    store.write("trials", job().trial, [opening_row("study", job()) | {"state": "finished"}])
    row = lose(store, job())
    assert row["state"] == "finished" and row["reason"] is None


def test_a_trial_lost_while_nothing_can_be_written_is_recorded_later(store, tmp_path):
    made, away = watching(store), tmp_path / "away"
    (tmp_path / "study").rename(away)
    (tmp_path / "study").write_text("in the way")
    made.on_trial_recover(0, [], tune_trial(job(), tmp_path))
    with pytest.raises(UserError, match="cannot write results"):
        made.record()
    (tmp_path / "study").unlink()
    away.rename(tmp_path / "study")
    made.record()
    assert [row["state"] for row in store.rows("trials", job().trial)] == ["failed"]


def test_the_console_says_once_what_trials_wait_for_and_when_it_is_over(store, tmp_path):
    made, trial = watching(store), tune_trial(job(), tmp_path)
    for why in ("No space left.", "No space left.", None, None):
        made.on_trial_result(0, [], trial, {"epochs": 1, "waits_for": why})
    assert said(made).splitlines() == ["No space left. Trials wait until then.", "results can be written again"]


def test_a_machine_whose_gpu_torch_cannot_use_is_named_once(store, tmp_path):
    made, trial = watching(store), tune_trial(job(), tmp_path)
    for host, device in (("a", "cuda"), ("b", "cpu"), ("b", "cpu"), ("a", "cuda")):
        made.on_trial_result(0, [], trial, {"epochs": 1, "waits_for": None, "slot": f"{host}:7", "device": device})
    assert said(made) == "torch cannot use the GPU of b: trials there train on the CPU\n"


def test_a_study_does_not_wait_for_ever(store, monkeypatch, tmp_path):
    monkeypatch.setattr(failures, "PATIENCE_S", -1.0)
    with pytest.raises(UserError, match="No space left"):
        watching(store).on_trial_result(
            0, [], tune_trial(job(), tmp_path), {"epochs": 1, "waits_for": "No space left."}
        )


def test_machines_that_come_and_go_are_announced(store, monkeypatch):
    monkeypatch.setattr(failures, "LOOK_EVERY_S", -1.0)
    made = watching(store)
    for fit in (2, 0, 0, 3):
        made.slots.fit = fit
        made.on_step_begin(0, [])
    assert [line.split(" trial(s)")[0] for line in said(made).splitlines()] == [
        "the machines have room for 0",
        "the machines have room for 3",
    ]


def lost(by: Failures, folder: Path, error: str, epochs: int = 0) -> bool:
    """Whether a trial is given up that has trained so many epochs when it is lost by this error."""
    trial = tune_trial(job(), folder, error)
    if epochs:
        by.on_trial_result(0, [], trial, {"epochs": epochs, "waits_for": None})
    by.on_trial_recover(0, [], trial)
    return bool(by.given_up)


def test_a_process_may_die_as_often_as_the_user_allows_and_machines_do_not_count(store, tmp_path):
    made = watching(store, max_failures=2)
    for error in (KILLED, CUT_OFF, CUT_OFF, CUT_OFF, KILLED, CUT_OFF):
        assert not lost(made, tmp_path, error)
    assert said(made).count("starts again: ") == 6 and store.rows("trials", job().trial) == []
    assert lost(made, tmp_path, KILLED)
    (row,) = store.rows("trials", job().trial)
    assert row["reason"].endswith("its process died 3 times, of which --max-failures allows 2")
    assert said(made).count("starts again: ") == 6


def test_a_trial_that_kills_every_machine_is_given_up_but_not_one_that_gets_on(store, tmp_path):
    made = watching(store)
    for epoch in range(1, 2 * losses.IN_A_ROW):
        assert not lost(made, tmp_path, CUT_OFF, epochs=epoch)
    for _ in range(losses.IN_A_ROW - 1):
        assert not lost(made, tmp_path, CUT_OFF, epochs=epoch)  # the same epoch again is none that it gains
    assert lost(made, tmp_path, CUT_OFF)
    (row,) = store.rows("trials", job().trial)
    assert row["state"] == "failed" and row["reason"].endswith("21 machines without another epoch in between")


def test_the_scheduler_stops_what_is_given_up_before_tune_starts_anything(store, tmp_path):
    made, stopped = watching(store), []
    assert lost(made, tmp_path, KILLED)
    trials = SimpleNamespace(get_trials=lambda: [], stop_trial=stopped.append)
    for _ in range(2):
        assert Order(None, made.given_up).choose_trial_to_run(trials) is None
    assert [trial.trial_id for trial in stopped] == [job().trial]


@pytest.mark.parametrize(
    ("error", "why", "machine"),
    [
        ("Task was killed due to the node running low on memory.", "out of memory", False),
        (CUT_OFF, "lost with its machine", True),
        ("The actor 7f is unavailable: The actor is temporarily unavailable: Socket closed", "its machine could", True),
        (f"{KILLED}\nWorker exits with an exit code 1. The process receives a SIGTERM.", "its process was told", True),
        ("ray::Trainable.train()\nevae.cluster.losses.MachineLeaves", "its machine is about to leave", True),
        (KILLED, "its process died", False),
        ("Traceback\n  File x\nModuleNotFoundError: No module named 'evae'", "ModuleNotFoundError: No module", False),
    ],
)
def test_the_latest_error_says_in_few_words_what_was_lost(tmp_path, error, why, machine):
    found = loss(latest(tune_trial(job(), tmp_path, error).error_file))
    assert found.why.startswith(why) and found.machine == machine
