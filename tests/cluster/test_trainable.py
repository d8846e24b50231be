"""The trainable in this process, without Ray: what a trial leaves in the store, however it ends."""

import io
import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tiny import tiny_images, tiny_recipe

from evae.checkpoints import load_model
from evae.cluster import trainable
from evae.cluster.losses import MachineLeaves
from evae.cluster.setting import Setting
from evae.cluster.trainable import EpochTrainable
from evae.identity import identity
from evae.metrics import weights
from evae.metrics.features import load_features
from evae.metrics.reference import reference
from evae.numerics import NUMERICS
from evae.posteriors.evae import Evae
from evae.recipe import Evaluation, Recipe
from evae.results.store import Store
from evae.search.job import Job

IMAGES = tiny_images()


@pytest.fixture(scope="module")
def references():
    features = load_features("efficientnet-lite0-b2")
    splits = ("validation", "test")
    return {split: reference(getattr(IMAGES, split), IMAGES.train, features, cache=None) for split in splits}


@pytest.fixture
def setting(tmp_path, references) -> Setting:
    store = Store(tmp_path / "study")
    store.prepare()
    return Setting(study="study", store=store, images=IMAGES, references=references, cpus=1, gpus=0, keep="weights")


def job(recipe: Recipe | None = None, attempt: int = 1, params: dict[str, Any] | None = None) -> Job:
    recipe = recipe or tiny_recipe()
    return Job(
        recipe.configuration(), 3, recipe.seed, attempt, params or {"method": "gaussian"}, recipe.to_dict(), "x", None
    )


def actor(setting: Setting, first: Job) -> EpochTrainable:
    class Local(EpochTrainable):
        """Tune hands the setting over by with_parameters, which needs a running Ray."""

        def setup(self, config: dict[str, Any]) -> None:
            super().setup(config, setting)

    return Local({"job": first})


def finish(made: EpochTrainable, steps: int = 50) -> list[dict[str, Any]]:
    results = []
    while len(results) < steps and not (results and results[-1]["done"]):
        results.append(made.train())
    return results


def row(setting: Setting, of: Job) -> dict[str, Any]:
    rows = setting.store.rows("trials", of.trial)
    assert len(rows) == 1
    return rows[0]


@pytest.fixture
def eager(monkeypatch):
    """A checkpoint after every epoch."""
    monkeypatch.setattr(trainable, "CHECKPOINT_EVERY_S", 0.0)


def test_a_step_is_an_epoch_and_the_last_one_brings_the_metrics(setting):
    results = finish(actor(setting, job()))
    assert [r["epochs"] for r in results] == [1, 2, 3]
    assert [r["done"] for r in results] == [False, False, True]
    assert "val_gen_sharpness" not in results[0] and results[-1]["val_gen_sharpness"] > 0
    assert results[-1]["state"] == "finished"


def test_a_finished_trial_leaves_rows_of_every_kind_pictures_and_weights(setting):
    one = job(params={"method": "gaussian", "beta": 1.0})
    finish(actor(setting, one))
    store, trial = setting.store, one.trial
    found = row(setting, one)
    assert found["state"] == "finished" and found["reason"] is None and found["method"] == "gaussian"
    assert (found["number"], found["attempt"], found["epochs"], found["epochs_planned"]) == (3, 1, 3, 3)
    assert found["param_method"] == "gaussian" and found["param_beta"] == 1.0
    assert json.loads(found["params"]) == dict(one.params)
    assert Recipe.from_dict(json.loads(found["recipe"])).configuration() == one.configuration
    assert found["device"] == "cpu" and found["threads"] == 1 and found["parameters"] > 100
    assert found["identity"] == identity(one.recipe, IMAGES.digest, found["precision"])
    assert (found["data_digest"], found["numerics"], found["plugins"]) == (IMAGES.digest, NUMERICS, "{}")
    assert set(json.loads(found["distances"])) == {n for n in found if "_fd_" in n or "_kd_" in n}
    assert 0 < found["train_s"] <= found["wall_s"] and found["started_at"] < found["ended_at"]

    epochs = store.rows("epochs", trial)
    assert [e["epoch"] for e in epochs] == [1, 2, 3]
    assert sum(e["train_s"] for e in epochs) == pytest.approx(found["train_s"])
    assert {"train_loss_nats", "val_elbo_nats"} <= set(epochs[0]) and {e["trial"] for e in epochs} == {trial}
    assert all(a["ended_at"] <= b["started_at"] for a, b in pairwise(epochs))

    pictures = store.rows("images", trial)
    sampled = {"sampled", "sampled_xpd_mixture"}
    assert {p["kind"] for p in pictures} == {"real", "reconstructed", "interpolated", "perturbed", *sampled}
    for each in pictures:
        size = Image.open(io.BytesIO(each["png"])).size
        assert size == (each["columns"] * each["image_size"], each["rows"] * each["image_size"])
    assert load_model(f"{store.root}/weights/{trial}.safetensors").latent == 3
    assert store.read_bytes("checkpoints", f"{trial}.safetensors") is None


def longer(of: Job, epochs: int) -> Job:
    optimisation = of.recipe["optimisation"] | {"epochs": epochs}
    return replace(of, recipe=of.recipe | {"optimisation": optimisation}, attempt=of.attempt + 1)


def test_more_epochs_go_on_from_a_kept_state_as_if_they_had_been_wanted_at_first(setting, tmp_path):
    """The same rows and weights, to the last bit."""
    keeping, first = replace(setting, keep="states"), job(tiny_recipe(epochs=2))
    finish(actor(keeping, first))
    assert [result["epochs"] for result in finish(actor(keeping, longer(first, 4)))] == [3, 4]
    elsewhere = replace(setting, store=Store(tmp_path / "whole"))
    elsewhere.store.prepare()
    finish(actor(elsewhere, longer(first, 4)))
    by_parts, at_once = (made.store for made in (keeping, elsewhere))
    rows, whole = (store.rows("epochs", first.trial) for store in (by_parts, at_once))
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    for one, other in zip(rows, whole, strict=True):
        assert {n: v for n, v in one.items() if n.startswith("val_")} == {
            n: v for n, v in other.items() if n.startswith("val_")
        }
    name = f"{first.trial}.safetensors"
    assert by_parts.read_bytes("weights", name) == at_once.read_bytes("weights", name)
    assert at_once.read_bytes("states", name) is None
    found, known = row(keeping, first), row(elsewhere, first)
    assert (found["epochs"], found["epochs_planned"], found["state"]) == (4, 4, "finished")
    assert all(found[n] == known[n] for n in known if n.startswith(("rec_", "gen_", "val_", "elbo", "decoder_")))


def test_killed_between_a_trials_state_and_its_row_it_only_has_to_be_measured(setting):
    keeping, one = replace(setting, keep="states"), job(tiny_recipe(epochs=2))
    finish(actor(keeping, one))
    before = row(keeping, one)
    setting.store.write("trials", one.trial, [before | {"state": "running", "ended_at": None}])
    assert [result["epochs"] for result in finish(actor(keeping, one))] == [2]
    after = row(keeping, one)
    assert after["state"] == "finished" and after["val_elbo_nats"] == before["val_elbo_nats"]
    assert len(setting.store.rows("epochs", one.trial)) == 2


def test_weights_are_kept_only_on_request(setting):
    one = job()
    finish(actor(replace(setting, keep="none"), one))
    assert row(setting, one)["state"] == "finished"
    assert setting.store.read_bytes("weights", f"{one.trial}.safetensors") is None


def test_one_actor_serves_trial_after_trial_as_fresh_ones_would(setting):
    first, second = job(), job(tiny_recipe(Evae(), seed=1))
    serving = actor(setting, first)
    finish(serving)
    assert serving.reset_config({"job": second})
    reused = finish(serving)[-1]
    assert row(setting, first)["state"] == row(setting, second)["state"] == "finished"
    alone = finish(actor(setting, second))[-1]
    same = [n for n in alone if n.startswith(("val_", "rec_", "gen_", "distortion", "rate"))]
    assert len(same) > 10 and [reused[n] for n in same] == [alone[n] for n in same]


def test_while_it_runs_a_trial_has_a_row_that_says_so(setting):
    one = job()
    finish(actor(setting, one), steps=1)
    found = row(setting, one)
    assert found["state"] == "running" and found["ended_at"] is None and found["slot"].count(":") == 1


@pytest.mark.parametrize("lost_after", [1, 2])
def test_a_lost_trial_continues_from_its_checkpoint_to_the_same_numbers(setting, eager, lost_after):
    whole = finish(actor(setting, job()))[-1]
    expected = setting.store.rows("epochs", job().trial)

    finish(actor(setting, job()), steps=lost_after)  # and then its process dies
    results = finish(actor(setting, job(attempt=2)))
    assert [r["epochs"] for r in results] == list(range(lost_after + 1, 4))
    found = row(setting, job())
    assert found["attempt"] == 2 and found["state"] == "finished"
    numbers = [n for n, value in whole.items() if n in found and isinstance(value, float) and not n.endswith("_s")]
    assert len(numbers) > 20 and [found[n] for n in numbers] == [whole[n] for n in numbers]
    epochs = setting.store.rows("epochs", job().trial)
    assert [e["epoch"] for e in epochs] == [1, 2, 3]
    assert [e["val_loss_nats"] for e in epochs] == [e["val_loss_nats"] for e in expected]
    assert found["train_s"] == pytest.approx(sum(e["train_s"] for e in epochs))


@pytest.mark.parametrize("kind", ["trials", "epochs"])
def test_rows_that_cannot_be_read_are_waited_for_and_not_overwritten(setting, eager, kind, monkeypatch):
    monkeypatch.setattr(trainable, "RETRY_S", 0.0)
    finish(actor(setting, job()), steps=2)
    file = Path(setting.store.root) / kind / f"{job().trial}.parquet"
    whole = file.read_bytes()
    file.write_bytes(b"damaged")
    again = actor(setting, job(attempt=2))
    for result in finish(again, steps=3):
        assert f"{kind}/{job().trial}.parquet" in result["waits_for"] and not result["done"]
    assert file.read_bytes() == b"damaged"
    file.write_bytes(whole)  # from a copy
    finish(again)
    assert row(setting, job())["state"] == "finished"
    assert [epoch["epoch"] for epoch in setting.store.rows("epochs", job().trial)] == [1, 2, 3]


@pytest.mark.parametrize("damage", ["truncated", "another recipe"])
def test_a_checkpoint_that_cannot_be_used_starts_the_trial_anew(setting, eager, damage):
    one = job()
    finish(actor(setting, one), steps=2)
    store, name = setting.store, f"{one.trial}.safetensors"
    saved = store.read_bytes("checkpoints", name)
    if damage == "truncated":
        store.write_bytes("checkpoints", name, saved[:-10])
    else:
        other = job(tiny_recipe(seed=1))
        finish(actor(setting, other), steps=1)
        store.write_bytes("checkpoints", name, store.read_bytes("checkpoints", f"{other.trial}.safetensors"))
    results = finish(actor(setting, job(attempt=2)))
    assert row(setting, one)["state"] == "finished"
    assert [r["epochs"] for r in results] == [1, 2, 3]
    assert [e["epoch"] for e in store.rows("epochs", one.trial)] == [1, 2, 3]


def test_a_diverging_trial_is_recorded_with_epoch_and_term_and_the_actor_goes_on(setting):
    wild, tame = job(tiny_recipe(learning_rate=1e6)), job()
    serving = actor(setting, wild)
    last = finish(serving)[-1]
    assert last["done"] and last["state"] == "diverged"
    found = row(setting, wild)
    assert found["state"] == "diverged" and "in epoch" in found["reason"] and found["ended_at"]
    assert found.get("gen_sharpness") is None
    serving.reset_config({"job": tame})
    finish(serving)
    assert row(setting, tame)["state"] == "finished"


def test_a_trial_that_cannot_be_built_is_recorded_as_failed_with_its_reason(setting):
    wrong = replace(job(), recipe=tiny_recipe().to_dict() | {"latnet": 3})
    serving = actor(setting, wrong)
    assert finish(serving)[-1]["done"]
    found = row(setting, wrong)
    assert found["state"] == "failed" and "Did you mean 'latent'" in found["reason"] and found["epochs"] == 0
    assert found["traceback"] is None  # the reason says what to do
    serving.reset_config({"job": job()})
    assert finish(serving)[-1]["state"] == "finished"


def test_a_failure_in_the_evaluation_keeps_the_epochs(setting, monkeypatch, tmp_path):
    (tmp_path / weights.FILE).write_text("no weights")
    monkeypatch.setenv("EVAE_WEIGHTS", str(tmp_path))
    broken = job(replace(tiny_recipe(), evaluation=Evaluation(features="inception")))
    finish(actor(setting, broken))
    found = row(setting, broken)
    assert found["state"] == "failed" and "is damaged" in found["reason"] and found["epochs"] == 3
    assert len(setting.store.rows("epochs", broken.trial)) == 3


def test_what_tune_is_told_does_not_take_the_names_of_its_own_numbers(setting):
    result = finish(actor(setting, job()))[-1]
    assert result["training_iteration"] == 3 and result["trial"] == job().trial
    assert not [name for name, value in result.items() if isinstance(value, list)]


def test_a_trial_whose_results_cannot_be_written_waits_and_loses_nothing(setting, eager, monkeypatch, tmp_path):
    monkeypatch.setattr(trainable, "RETRY_S", 0.0)
    folder, away, made = tmp_path / "study", tmp_path / "away", actor(setting, job())
    assert made.train()["waits_for"] is None
    for _ in range(2):  # while an epoch is to be written, and while a trial is
        folder.rename(away)
        folder.write_text("in the way")
        results = [made.train() for _ in range(3)]
        assert all("cannot write results" in r["waits_for"] and not r["done"] for r in results)
        assert len({r["epochs"] for r in results}) == 1
        folder.unlink()
        away.rename(folder)
        result = made.train()
    assert result["done"] and result["waits_for"] is None and result["epochs"] == 3
    found = row(setting, job())
    assert found["state"] == "finished" and found["attempt"] == 1
    assert [e["epoch"] for e in setting.store.rows("epochs", job().trial)] == [1, 2, 3]
    assert not list((folder / "checkpoints").iterdir())


def test_memory_that_cannot_be_had_is_recorded_as_such(setting):
    big = job(replace(tiny_recipe(), latent=10**12))
    made = actor(setting, big)
    assert finish(made)[-1]["done"]
    found = row(setting, big)
    assert found["state"] == "failed" and found["reason"].startswith("out of memory: ")
    assert found["traceback"].startswith("Traceback (most recent call last)")
    assert found["reason"].partition(": ")[2] in found["traceback"].splitlines()[-1]
    made.reset_config({"job": job()})
    assert finish(made)[-1]["state"] == "finished"


def test_a_trial_that_lost_its_process_continues_and_counts_it(setting, eager):
    lost = actor(setting, job())
    lost.train()
    results = finish(actor(setting, job()))
    assert [r["epochs"] for r in results] == [2, 3]
    assert row(setting, job())["restarts"] == 1 and row(setting, job())["attempt"] == 1


def leaving(monkeypatch, made: EpochTrainable) -> None:
    monkeypatch.setattr(made.watch, "machine_leaves", lambda: True)


def test_a_trial_leaves_a_machine_that_is_about_to_go_with_all_that_it_has_trained(setting, monkeypatch):
    whole = finish(actor(setting, replace(job(), attempt=7)))[-1]
    made = actor(setting, job())
    made.train(), made.train()
    leaving(monkeypatch, made)
    with pytest.raises(MachineLeaves):
        made.train()
    elsewhere = finish(actor(setting, job()))
    assert [r["epochs"] for r in elsewhere] == [3] and elsewhere[-1]["rec_psnr_db"] == whole["rec_psnr_db"]
    assert [e["epoch"] for e in setting.store.rows("epochs", job().trial)] == [1, 2, 3]


def test_a_trial_does_not_begin_on_a_machine_that_is_about_to_go(setting, monkeypatch):
    made = actor(setting, job())
    leaving(monkeypatch, made)
    with pytest.raises(MachineLeaves):
        made.train()
    assert setting.store.rows("trials", job().trial) == []


def test_a_trial_that_has_ended_but_could_not_be_written_stays_to_be_written(setting, monkeypatch, tmp_path):
    monkeypatch.setattr(trainable, "RETRY_S", 0.0)
    made, folder, away = actor(setting, job()), tmp_path / "study", tmp_path / "away"
    made.train(), made.train()
    folder.rename(away)
    folder.write_text("in the way")
    assert made.train()["waits_for"] is not None
    leaving(monkeypatch, made)
    folder.unlink()
    away.rename(folder)
    assert made.train()["done"] and row(setting, job())["state"] == "finished"


def test_at_rungs_the_objectives_are_measured_and_the_epochs_are_in_the_store(setting):
    one = replace(job(), rungs=(2,))
    made = actor(setting, one)
    first, second = made.train(), made.train()
    assert "val_gen_sharpness" not in first and second["val_gen_sharpness"] > 0 and not second["done"]
    epochs = setting.store.rows("epochs", one.trial)
    assert epochs[0]["val_gen_sharpness"] is None and epochs[1]["val_loss_nats"] > 0
    # What a later session rebuilds the rungs from is what this one judges by.
    told = {name: value for name, value in second.items() if name.startswith("val_")}
    assert len(told) > 10 and {name: epochs[1][name] for name in told} == told
    found = row(setting, one)
    # Of a trial that may be stopped now: no values that could be taken for its final ones.
    assert found["state"] == "running" and found["epochs"] == 2 and "val_gen_sharpness" not in found
    third = made.train()
    assert third["done"] and third["val_gen_sharpness"] not in (None, second["val_gen_sharpness"])


def test_a_rung_changes_nothing_of_the_training(setting):
    plain, measured = job(), replace(job(tiny_recipe(seed=1)), rungs=(1, 2))
    without = replace(measured, rungs=())
    made = actor(setting, plain)
    finish(made)
    rows = []
    for each in (measured, without):
        made.reset_config({"job": each})
        finish(made)
        rows.append(row(setting, each))
    assert rows[0]["val_gen_sharpness"] == rows[1]["val_gen_sharpness"]


def test_a_stopped_trial_leaves_the_actor_to_the_next(setting):
    stopped, following = replace(job(), rungs=(1,)), job(tiny_recipe(seed=1))
    made = actor(setting, stopped)
    made.train()
    made.reset_config({"job": following})
    finish(made)
    assert row(setting, stopped)["state"] == "running"  # the driver, who stopped it, says so
    assert row(setting, following)["state"] == "finished"
