"""What the driver writes about trials whose worker process died."""

from types import SimpleNamespace

import pytest
from tiny import tiny_recipe

from evae.tuning.store import Store
from evae.tuning.study import LostTrials
from evae.tuning.trainable import Job, opening_row

RECIPE = tiny_recipe()


def job(attempt: int = 1) -> Job:
    return Job(RECIPE.configuration(), 2, 0, attempt, {"beta": 1.0}, RECIPE.to_dict(), "control", "VAE")


@pytest.fixture
def store(tmp_path) -> Store:
    made = Store(tmp_path / "study")
    made.prepare()
    return made


def lose(store: Store, lost: Job) -> dict:
    LostTrials("study", store).on_trial_error(0, [], SimpleNamespace(config={"job": lost}))
    rows = store.rows("trials", lost.trial)
    assert len(rows) == 1
    return rows[0]


def test_a_trial_lost_while_it_ran_keeps_its_row_and_gets_a_reason(store):
    store.write("trials", job().trial, [opening_row("study", job()) | {"epochs": 7, "slot": "host:1"}])
    store.write_bytes("checkpoints", f"{job().trial}.safetensors", b"no longer needed")
    row = lose(store, job())
    assert row["state"] == "failed" and "worker process died" in row["reason"] and row["ended_at"]
    assert row["epochs"] == 7 and row["slot"] == "host:1"
    assert store.read_bytes("checkpoints", f"{job().trial}.safetensors") is None


def test_a_trial_lost_before_it_began_is_recorded_too(store):
    row = lose(store, job())
    assert row["state"] == "failed" and row["label"] == "VAE" and row["param_beta"] == 1.0 and row["number"] == 2


def test_a_second_attempt_lost_before_it_began_is_not_mistaken_for_the_first(store):
    store.write("trials", job().trial, [opening_row("study", job()) | {"state": "cancelled"}])
    row = lose(store, job(attempt=2))
    assert row["state"] == "failed" and row["attempt"] == 2


def test_a_trial_that_had_finished_stays_finished(store):
    store.write("trials", job().trial, [opening_row("study", job()) | {"state": "finished"}])
    row = lose(store, job())
    assert row["state"] == "finished" and row["reason"] is None
