"""Pools looked at: what is fine is counted, exported and taken in; what is not is named."""

import json
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import tiny_images, tiny_recipe

from evae import pool
from evae.checkpoints import dump_model, dump_training, read_kept, restore_model
from evae.errors import UserError
from evae.identity import identity
from evae.numerics import NUMERICS
from evae.recipe import Recipe
from evae.results import measures
from evae.results.compaction import compact
from evae.results.store import Store
from evae.study.dataset import export, take_in
from evae.study.holdings import check, listed, stores
from evae.training import Training

IMAGES = tiny_images()


def row(seed: int = 0, recipe: Recipe | None = None, **changes: Any) -> dict[str, Any]:
    recipe = replace(recipe or tiny_recipe(), seed=seed)
    plain = recipe.to_dict()
    named = identity(plain, IMAGES.digest, "fp32")
    made = {"trial": f"{recipe.configuration()}-s{seed}", "study": "one", "state": "finished", "seed": seed}
    made |= {"recipe": json.dumps(plain), "epochs": 3, "precision": "fp32", "data_digest": IMAGES.digest}
    made |= {"identity": named, "numerics": NUMERICS, "device": "cpu", "threads": 1, "workers": 1, "processor": "x"}
    made |= {"ended_at": datetime(2026, 1, 2, tzinfo=UTC), "val_elbo_nats": -1.5 - seed, "slot": "my-host:7"}
    return made | changes


def made(folder: Path, *rows: dict[str, Any]) -> Store:
    store = Store(folder)
    store.prepare()
    for each in rows:
        store.write("trials", each["trial"], [each])
        store.write("epochs", each["trial"], [{"trial": each["trial"], "epoch": 1, "val_elbo_nats": -3.0}])
    return store


def test_what_is_there_is_listed(tmp_path):
    made(tmp_path / "a", row(0), row(1), row(2, state="failed"))
    compact(made(tmp_path / "b", row(3)), 1)
    (tmp_path / "no study").mkdir()
    one, two = map(listed, stores([str(tmp_path)]))
    assert (one["trials"], one["finished"], one["data"], one["devices"]) == ("3", "2", IMAGES.digest, "cpu")
    assert two["finished"] == "1" and one["results"] == str(tmp_path / "a")
    with pytest.raises(UserError, match="holds no study"):
        stores([str(tmp_path / "no study")])


def test_what_is_fine_is_fine(tmp_path):
    store = made(tmp_path / "a", row(0), row(1, recipe=tiny_recipe(epochs=3)))
    training = Training(tiny_recipe(), IMAGES)
    name = f"{row(0)['trial']}.safetensors"
    store.write_bytes("weights", name, dump_model(training.model, tiny_recipe(), 32, 1))
    store.write_bytes("states", name, dump_training(training))
    found = check([store])
    assert found.problems == [] and len(found.fine) == 2


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"identity": "0" * 24}, "not that of its identity"),
        ({"recipe": json.dumps(tiny_recipe(learning_rate=1.0).to_dict())}, "not that of its identity"),
        ({"recipe": "{"}, "does not say what was trained"),
        ({"recipe": "[]"}, "does not say what was trained"),
        ({"numerics": "x"}, "does not say what was trained"),
        ({"numerics": 99}, "not that of its identity"),
        ({"precision": "bf16"}, "not that of its identity"),
        ({"epochs": 4}, "differ in epochs or seed"),
        ({"seed": 7}, "differ in epochs or seed"),
        ({"seed": float("nan")}, "differ in epochs or seed"),
        ({"distances": "x" * 2_000_000}, "its distances has 2,000,000 characters"),
        ({"identity": None}, "have no identity"),
    ],
    ids=str,
)
def test_rows_that_are_not_what_they_say_are_named(tmp_path, changes, why):
    found = check([made(tmp_path / "a", row(0), row(1) | changes)])
    (problem,) = found.problems
    assert why in problem and [each["trial"] for _, each in found.fine] == [row(0)["trial"]]
    with pytest.raises(UserError, match="refused as it is"):
        take_in(found, str(tmp_path / "b"))
    assert not (tmp_path / "b").exists()


def test_files_that_are_not_what_they_say_are_named(tmp_path):
    store = made(tmp_path / "a", row(0), row(1), row(2))
    other = Training(tiny_recipe(seed=5), IMAGES)
    names = [f"{row(seed)['trial']}.safetensors" for seed in range(3)]
    store.write_bytes("weights", names[0], dump_model(other.model, other.recipe, 32, 1))
    store.write_bytes("weights", names[1], dump_model(other.model, other.recipe, 32, 1)[:-1])
    store.write_bytes("epochs", f"{row(2)['trial']}.parquet", b"no Parquet")
    problems = check([store]).problems
    assert any(names[0] in each and "of another recipe than its row" in each for each in problems)
    assert any(names[1] in each and "bytes instead of" in each for each in problems)
    assert any(f"epochs/{row(2)['trial']}.parquet" in each for each in problems)
    assert len(problems) == 3
    # Neither the one whose weights are another's, nor the one that is not whole.
    store.write_bytes("trials", "x.parquet", b"PAR1")
    assert [each["seed"] for _, each in check([store]).fine] == [1]
    out, count = export(check([store]), str(tmp_path / "out"), "other")
    assert count == 1 and out.rows("epochs") and "compacted_from" not in out.rows("trials")[0]
    compact(store, 1)
    (file,) = (Path(info.path) for info in store.compacted("epochs"))
    file.write_bytes(b"")
    assert check([store]).fine == []


def test_of_a_study_of_a_later_schema_nothing_is_fine(tmp_path):
    store = made(tmp_path / "a", row(0))
    store.write("study", "later", [{"session": "later", "schema_version": 99}])
    found = check([store])
    assert found.fine == [] and "it is of schema 99" in found.problems[0]


def test_one_training_with_two_values_is_named_and_neither_is_taken(tmp_path):
    a = made(tmp_path / "a", row(0), row(1))
    b = made(tmp_path / "b", row(0, val_elbo_nats=-7.0), row(1, val_elbo_nats=-9.0, threads=2))
    found = check([a, b])
    (problem,) = found.problems
    assert f"{a.location}: {row(0)['trial']}" in problem and f"{b.location}: {row(0)['trial']}" in problem
    assert "val_elbo_nats is -1.5 and -7" in problem
    assert {each["seed"] for _, each in found.fine} == {1}  # on more threads it may differ as another seed's does


def test_a_data_set_goes_out_and_comes_in(tmp_path):
    own = tiny_recipe()
    own = replace(own, data=replace(own.data, source="folder:/home/me/secret/faces"))
    taken = {"study": "b", "taken_study": "first", "taken_from": "/home/me/results/first", "taken_trial": "x"}
    a = made(tmp_path / "a", row(0), row(1, **taken))
    b = made(tmp_path / "b", row(0), row(2, recipe=own))
    target, count = export(check([a, b]), str(tmp_path / "out"), "cc-by-4.0")
    assert count == 3 and target.files("trials") == [] and len(target.compacted("trials")) == 1
    rows = target.rows("trials")
    assert {each["trial"] for each in rows} == {row(0)["identity"], row(1)["identity"], row(2, recipe=own)["identity"]}
    assert sorted(each["study"] for each in rows) == ["first", "one", "one"]
    text = (tmp_path / "out" / "README.md").read_text()
    assert text.startswith('---\nlicense: "cc-by-4.0"\n') and "# 3 trained" in text and IMAGES.digest in text
    everything = str(rows) + text
    assert "my-host" not in everything and "/home/me" not in everything and "folder:faces" in everything
    found = check(stores([str(tmp_path / "out")]))
    assert found.problems == [] and len(found.fine) == 3
    taken, count = take_in(found, str(tmp_path / "results" / "shared"))
    assert count == 3 and len(taken.rows("epochs")) == 3
    with pytest.raises(UserError, match="holds something already"):
        take_in(found, str(tmp_path / "results" / "shared"))
    with pytest.raises(UserError, match="holds something already"):
        export(found, str(tmp_path / "out"), "other")


def with_weights(folder: Path) -> tuple[Store, Training]:
    """Two trials on images of somebody's, the first with its weights and a picture; and its training."""
    own = tiny_recipe()
    own = replace(own, data=replace(own.data, source="folder:/home/me/secret/faces"))
    store, training = made(folder, row(0, recipe=own), row(1, recipe=own)), Training(own, IMAGES)
    trial = row(0, recipe=own)["trial"]
    store.write_bytes("weights", f"{trial}.safetensors", dump_model(training.model, own, 32, 1))
    store.write("images", trial, [{"trial": trial, "kind": "real", "png": b"a picture"}])
    return store, training


def test_weights_and_pictures_go_out_if_wanted_and_come_in(tmp_path):
    store, training = with_weights(tmp_path / "a")
    out, _ = export(check([store]), str(tmp_path / "out"), "other", weights=True, pictures=True)
    text = (tmp_path / "out" / "README.md").read_text()
    assert (
        "(1 of 2 trainings) | 0.0" in text
        and "| `images` | its pictures as PNG" in text
        and "once, without" not in text
    )
    assert "config_name: images\n  data_files: images/*/*.parquet" in text and "config_name: weights" not in text
    found = check(stores([str(tmp_path / "out")]))
    assert found.problems == [] and len(found.fine) == 2
    taken, _ = take_in(found, str(tmp_path / "results" / "shared"))
    name = f"{row(0, recipe=training.recipe)['identity']}.safetensors"
    for each in (out, taken):
        (picture,) = each.rows("images", name.partition(".")[0])
        assert picture["png"] == b"a picture" and len(each.sizes("weights", ".safetensors")) == 1
        data = each.read_bytes("weights", name)
        assert b"/home/me" not in data and read_kept(data, name).recipe.data.source == "folder:faces"
        again = Training(training.recipe, IMAGES)
        restore_model(again, data)
        assert all(
            torch.equal(*pair)
            for pair in zip(again.model.state_dict().values(), training.model.state_dict().values(), strict=True)
        )
    plain, _ = export(check([store]), str(tmp_path / "plain"), "other")
    assert not plain.sizes("weights", ".safetensors") and not plain.rows("images")
    assert ", each training once, without weights and pictures.\n" in (tmp_path / "plain" / "README.md").read_text()


def test_weights_that_are_none_to_their_end_stay_out_and_are_named(tmp_path):
    store, _ = with_weights(tmp_path / "a")
    (file,) = (tmp_path / "a" / "weights").iterdir()
    file.write_bytes(file.read_bytes().replace(b'"F32"', b'"X32"'))
    found = check([store])
    assert found.problems == []  # by its header
    out, count = export(found, str(tmp_path / "out"), "other", weights=True)
    assert count == 2 and not out.sizes("weights", ".safetensors")
    assert "the weights of" in found.problems[0] and "damaged" in found.problems[0]


def test_what_was_measured_afterwards_goes_out_too(tmp_path):
    store, one = made(tmp_path / "a", row(0)), row(0)
    measures.add(store, one, asked=["nll_nats"], metrics={"nll_nats": 7.5}, distances={}, device="cpu")
    out, _ = export(check([store]), str(tmp_path / "out"), "other")
    assert out.rows("trials")[0]["nll_nats"] == 7.5


@pytest.mark.parametrize("name", ["../../x", "a/b", ".hidden", ""])
def test_names_with_parts_of_paths_are_refused(tmp_path, name):
    store = made(tmp_path / "a")
    made(tmp_path / "b", row(0))
    Path(store.path("trials", "x.parquet")).write_bytes(
        Path(tmp_path / "b" / "trials" / f"{row(0)['trial']}.parquet").read_bytes()
    )
    assert "not the trial of its name" in check([store]).problems[0]
    found = check([made(tmp_path / "c", row(0))])
    found.fine[0][1]["trial"] = name
    with pytest.raises(UserError, match="no name of a trial"):
        take_in(found, str(tmp_path / "d"))


def command(monkeypatch, capsys, *given: str) -> tuple[int | str, str]:
    """(exit status or error, output) of `python -m evae.pool GIVEN`."""
    monkeypatch.setattr(sys, "argv", ["evae.pool", *given])
    token, status = pool.CALLED.set(None), 0
    try:
        pool.main()
    except SystemExit as end:
        status = end.code or 0
    finally:
        pool.CALLED.reset(token)
    return status, capsys.readouterr().out


def test_the_commands_of_a_pool(monkeypatch, capsys, tmp_path):
    made(tmp_path / "results" / "a", row(0), row(1))
    results, out, theirs = (str(tmp_path / name) for name in ("results", "out", "results/theirs"))
    assert "a: 2 of 2 trials finished" in command(monkeypatch, capsys, "list", results)[1]
    assert command(monkeypatch, capsys, "check", results) == (0, "2 finished trials are fine; 0 things are not\n")
    assert command(monkeypatch, capsys, "export", results, "--to", out)[1].rpartition(", ")[0].endswith("out: 2 trials")
    assert (
        command(monkeypatch, capsys, "import", out, "--to", theirs)[1].rpartition(", ")[0].endswith("theirs: 2 trials")
    )
    assert command(monkeypatch, capsys, "check", results)[0] == 0
    made(tmp_path / "results" / "b", row(0, val_elbo_nats=0.0))
    status, said = command(monkeypatch, capsys, "check", results)
    assert status == 1 and "one training with two values" in said
    assert "holds no study" in command(monkeypatch, capsys, "list", str(tmp_path / "out" / "trials"))[0]
    assert "unknown command of a pool 'chekc'" in command(monkeypatch, capsys, "chekc")[0]
    assert "give the results" in command(monkeypatch, capsys, "list")[0]
