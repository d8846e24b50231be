"""Trials of another study taken instead of being trained, and those that are refused."""

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pooled
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from object_store import SECRET, Bucket, bucket
from pooled import job_of
from tiny import tiny_images, tiny_recipe

from evae.checkpoints import dump_model
from evae.densities import KernelDensity
from evae.metrics.features import load_features
from evae.metrics.reference import reference
from evae.numerics import NUMERICS
from evae.recipe import Recipe
from evae.results.offers import gathered
from evae.results.store import Store, StoreError
from evae.search.job import CONFIRM, SEARCH, Job
from evae.study import taking
from evae.study.covered import Wanted
from evae.study.pool import StudyPool
from evae.training import Training

IMAGES, RECIPE = tiny_images(), tiny_recipe(epochs=2)
SEARCHED = ("val_rec_psnr_db",)


def job(recipe: Recipe = RECIPE, role: str = SEARCH, number: int = 7) -> Job:
    return job_of(recipe, role, number)


@pytest.fixture(scope="module")
def references():
    features = load_features("efficientnet-lite0-b2")
    return {
        split: reference(getattr(IMAGES, split), IMAGES.train, features, cache=None) for split in ("validation", "test")
    }


def train(store: Store, references: Any, one: Job, name: str) -> dict[str, Any]:
    return pooled.trained(store, IMAGES, references, one, name)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, references) -> Path:
    """A study with a trial of the search and one of a fresh seed."""
    store = Store(tmp_path_factory.mktemp("lab") / "theirs")
    store.prepare()
    for one in (job(), job(replace(RECIPE, seed=1000), CONFIRM)):
        train(store, references, one, "theirs")
    return Path(store.root)


@pytest.fixture
def results(trained, tmp_path) -> Path:
    shutil.copytree(trained, tmp_path / "theirs")
    return tmp_path


def pool(results: Path, *places: str, **given: Any) -> StudyPool:
    store = Store(results / "mine")
    store.prepare()
    offers = gathered(places, str(results), store, IMAGES.digest)
    return StudyPool(offers, store, "mine", IMAGES.digest, Wanted(SEARCHED, {}), **given)


def edited(results: Path, one: Job, study: str = "theirs", **changes: Any) -> None:
    file = results / study / "trials" / f"{one.trial}.parquet"
    (row,) = pq.read_table(file).to_pylist()
    pq.write_table(pa.Table.from_pylist([row | changes]), file)


def refusal(results: Path, one: Job, *places: str, **given: Any) -> str:
    made = pool(results, *places, **given)
    assert made.take(one) == one and not made.store.sizes("trials")
    return made.refused[one.trial]


def test_what_is_there_is_taken_with_all_it_left_and_says_where_it_was_trained(results):
    made, one = pool(results), job(number=3)
    (of, own), theirs = made.take(one), Store(results / "theirs")
    assert of == one
    (row,), (was,) = (store.rows("trials", one.trial) for store in (made.store, theirs))
    assert row["state"] == own["state"] == "finished" and (row["study"], row["number"]) == ("mine", 3)
    assert (row["taken_study"], row["taken_from"], row["taken_trial"]) == ("theirs", theirs.location, one.trial)
    for name in ("val_rec_psnr_db", "gen_sharpness", "train_s", "ended_at", "identity", "processor", "distances"):
        assert row[name] == was[name] is not None
    for kind in ("epochs", "images"):
        assert made.store.rows(kind, one.trial) == theirs.rows(kind, one.trial) != []
    assert (results / "mine/weights" / f"{one.trial}.safetensors").read_bytes()
    assert any("1 trial was taken from study theirs" in line for line in made.said())


def test_a_pool_that_copies_nothing_says_what_will_be_taken(results):
    made = pool(results, copies=False, keep_weights=False)
    _, row = made.take(job())
    assert row["state"] == "finished" and row["taken_study"] == "theirs" and row["rec_psnr_db"]
    assert not made.store.sizes("trials") and not made.store.sizes("weights", ".safetensors")
    assert made.said() == [f"1 trial will be taken from study theirs ({results / 'theirs'})"]


def test_it_is_found_however_the_study_and_the_folder_are_named(results):
    (results / "theirs").rename(results / "elsewhere")
    other = results / "other"
    shutil.move(results / "elsewhere", other / "deep")
    assert not len(pool(results).offers)
    for place in (other, other / "deep"):
        assert isinstance(pool(results, str(place)).take(job()), tuple)


def test_who_takes_from_one_that_took_names_where_it_was_trained(results):
    pool(results).take(job())
    shutil.rmtree(results / "theirs")
    (results / "mine").rename(results / "second")
    _, row = pool(results).take(job())
    assert row["taken_study"] == "theirs"


def test_another_trial_is_not_there(results):
    for other in (replace(RECIPE, seed=1), replace(RECIPE, latent=4), tiny_recipe(epochs=3)):
        made = pool(results)
        assert isinstance(made.take(job(other)), Job) and not made.refused
    assert isinstance(pool(results, "none").take(job()), Job)


def test_weights_stay_where_they_are_if_none_are_wanted(results):
    made = pool(results, keep_weights=False)
    made.take(job())
    assert not made.store.sizes("weights", ".safetensors")
    assert not any("without weights" in line for line in made.said())


def test_a_trial_whose_weights_were_not_kept_is_taken_and_that_is_said(results):
    shutil.rmtree(results / "theirs/weights")
    made = pool(results)
    assert isinstance(made.take(job()), tuple)
    assert "1 of these are without weights, which were not kept there" in made.said()


def test_a_fresh_seed_confirms_and_one_that_a_search_chose_by_does_not(results):
    fresh = job(replace(RECIPE, seed=1000), CONFIRM)
    assert isinstance(pool(results).take(fresh), tuple)
    shutil.rmtree(results / "mine")
    edited(results, fresh, role=SEARCH)
    assert "a search has chosen by this seed" in refusal(results, fresh)


WIDER = replace(
    RECIPE, evaluation=replace(RECIPE.evaluation, densities=(*RECIPE.evaluation.densities, KernelDensity()))
)


def test_what_lacks_metrics_alone_is_measured_from_its_weights(results, references):
    made, one = pool(results), job(WIDER)
    given = made.take(one)
    assert isinstance(given, Job) and given.kept is not None
    row = train(made.store, references, given, "mine")
    assert row["steps"] == 1 and row["state"] == "finished" and row["taken_study"] == "theirs"
    assert any("kde" in name for name in row if name.startswith("xpd_"))
    (was,) = Store(results / "theirs").rows("trials", job().trial)
    assert row["train_s"] == was["train_s"] and row["ended_at"] == was["ended_at"]
    assert row["rec_psnr_db"] == pytest.approx(was["rec_psnr_db"], rel=1e-3)
    assert [e["epoch"] for e in made.store.rows("epochs", one.trial)] == [1, 2]


def test_where_there_are_no_weights_for_that_it_is_trained(results):
    shutil.rmtree(results / "theirs/weights")
    assert "lacks densities, and its weights were not kept" in refusal(results, job(WIDER))


def test_of_its_own_study_it_keeps_its_row_until_it_is_measured(results, references):
    shutil.move(results / "theirs", results / "mine")
    made = pool(results)
    (row,) = made.store.rows("trials", job().trial)
    parsed = row | {name: json.loads(row[name]) for name in ("recipe", "params")}
    assert not made.lacks(parsed, RECIPE) and made.lacks(parsed, WIDER)
    again = made.take(replace(job(WIDER), configuration=RECIPE.configuration()))
    measured = train(made.store, references, again, "mine")
    assert measured["steps"] == 1 and measured["rec_psnr_db"] and any("kde" in name for name in measured)
    (results / "mine/weights" / f"{again.trial}.safetensors").write_bytes(b"")
    assert train(made.store, references, again, "mine")["rec_psnr_db"] == measured["rec_psnr_db"]


def test_rows_of_another_training_than_they_claim_are_refused(results):
    (row,) = Store(results / "theirs").rows("trials", job().trial)
    other = json.loads(row["recipe"]) | {"latent": 9}
    for wrong in (json.dumps(other), "[]", "{", None):
        edited(results, job(), recipe=wrong)
        assert "recipe" in refusal(results, job()) or "what was trained" in refusal(results, job())
    edited(results, job(), recipe=row["recipe"], epochs=1)
    assert "differ in epochs or seed" in refusal(results, job())


def test_weights_of_another_recipe_than_their_row_are_refused(results):
    other = replace(RECIPE, latent=4)
    file = results / "theirs/weights" / f"{job().trial}.safetensors"
    file.write_bytes(dump_model(Training(other, IMAGES).model, other, IMAGES.image_size, IMAGES.channels))
    said = refusal(results, job())
    assert said == f"{job().trial} of {results / 'theirs'}: its weights are of another recipe than its row"
    file.write_bytes(file.read_bytes()[:200])
    assert "its file of weights is not a checkpoint of evae, or a damaged one" in refusal(results, job())


def test_the_same_trial_with_two_values_is_refused_and_both_are_named(results):
    shutil.copytree(results / "theirs", results / "others")
    (row,) = Store(results / "theirs").rows("trials", job().trial)
    edited(results, job(), "others", rec_psnr_db=row["rec_psnr_db"] + 1)
    said = refusal(results, job())
    assert "theirs" in said and "others" in said and "rec_psnr_db is" in said
    # Elsewhere it may come out otherwise: then that of this machine is taken.
    edited(results, job(), "others", rec_psnr_db=row["rec_psnr_db"] + 1, processor="another")
    _, taken = pool(results, here={"processor": "another"}).take(job())
    assert taken["rec_psnr_db"] == row["rec_psnr_db"] + 1


def test_conditions_may_have_to_be_the_same(results):
    here = {"device": "cpu", "threads": 1, "workers": 1, "processor": "another"}
    assert "ran with another processor" in refusal(results, job(), same=("processor",), here=here)
    assert isinstance(pool(results, same=("threads",), here=here).take(job()), tuple)


def test_a_pool_writes_nothing_of_its_own_into_a_row(results):
    bad = {
        "label": "VAE",
        "traceback": "<script>",
        "reason": "x" * 10**6,
        "param_beta": 9.0,
        "../x": 1.0,
        "spy": "text",
    }
    edited(results, job(), **bad, number=10**9, origin="control")
    _, row = pool(results).take(job())
    assert not {"param_beta", "../x", "spy"} & row.keys()
    assert (row["label"], row["traceback"], row["reason"], row["number"], row["origin"]) == (
        None,
        None,
        None,
        7,
        "searched",
    )


def test_half_a_file_is_named_and_the_rest_is_taken(results):
    fresh = job(replace(RECIPE, seed=1000), CONFIRM)
    file = results / "theirs/trials" / f"{fresh.trial}.parquet"
    file.write_bytes(file.read_bytes()[:500])
    made = pool(results)
    assert len(made.offers) == 1 and fresh.trial in " ".join(made.offers.notes)
    assert isinstance(made.take(job()), tuple)


def test_rows_of_other_numbers_images_and_schemas_are_none_of_ours(results):
    edited(results, job(), numerics=NUMERICS + 1)
    made = pool(results)
    assert len(made.offers) == 1 and made.offers.others == {"made by another version's numbers": 1}
    edited(results, job(), data_digest="another")
    assert len(pool(results).offers) == 1
    edited(results, job(), identity=3.5, numerics="many")
    assert isinstance(pool(results).take(job()), Job)


def test_what_was_trained_in_another_arithmetic_is_said(results):
    assert refusal(results, job(), precision=lambda recipe: "bf16") == "it was trained in fp32, and here in bf16"


def test_a_study_of_a_later_schema_is_left_alone_and_said(results):
    Store(results / "theirs").write("study", "later", [{"session": "later", "schema_version": 99}])
    made = pool(results)
    assert not len(made.offers) and made.take(job()) == job()
    (note,) = made.offers.notes
    assert "theirs is of schema 99" in note and note.endswith("Nothing is taken from there.")


def test_files_that_are_none_of_trials_are_named(results):
    for index in range(7):
        (results / "theirs/trials" / f"x{index}.parquet").write_bytes(b"PAR1")
    pq.write_table(pa.table({"a": [1]}), results / "theirs/trials/a.parquet")
    made = pool(results)
    assert len(made.offers) == 2 and "trials/a.parquet is not taken: it is not the trial" in made.offers.notes[0]
    assert len(made.offers.notes) == 6 and made.offers.notes[-1].endswith("and 3 more files are not")


@pytest.mark.parametrize("what", ["nowhere", "file", "empty"])
def test_a_place_that_holds_no_study_is_said(results, what):
    (results / "file").write_text("x")
    (results / "empty").mkdir()
    with pytest.raises(StoreError, match=what):
        pool(results, str(results / what))


def uploaded(server: Bucket, results: Path) -> str:
    """The URI of a folder with the study in a bucket."""
    for file in (file for file in (results / "theirs").rglob("*") if file.is_file()):
        server.objects[f"lab/{file.relative_to(results)}"] = datetime.now(UTC), file.read_bytes()
    return server.uri("lab")


def test_a_place_that_does_not_answer_is_said_before_anything_is_trained(results):
    with bucket() as server:
        place, server.down = uploaded(server, results), True
        with pytest.raises(StoreError, match=r"^--pool s3://\*\*\*@bucket/lab.*or name another place\.$") as refused:
            pool(results, place)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("after", ["the look-up", "the row"])
def test_a_place_that_goes_away_is_left_alone_and_said_once(results, monkeypatch, after):
    with bucket() as server:
        place = uploaded(server, results)
        shutil.rmtree(results / "theirs")
        made, fresh = pool(results, place), job(replace(RECIPE, seed=1000), CONFIRM)
        assert len(made.offers) == 2
        if after == "the look-up":
            server.down = True
        else:
            weights = taking.weights
            monkeypatch.setattr(taking, "weights", lambda *of: setattr(server, "down", True) or weights(*of))
        assert made.take(job()) == job() and server.refused
        asked = server.refused
        assert made.take(fresh) == fresh and server.refused == asked
        (away, missed) = made.said()
        assert "nothing more was taken" in away and "lab/theirs" in away and SECRET not in away
        assert missed == "2 trials were trained that only such places have" and not made.refused
        assert not made.store.sizes("trials")


def test_another_place_that_has_it_serves_where_one_has_gone_away(results):
    with bucket() as server:
        made = pool(results, uploaded(server, results))
        assert len(made.offers) == 4
        server.down = True
        assert isinstance(made.take(job()), tuple) and not made.missed and len(made.gone) == 1
