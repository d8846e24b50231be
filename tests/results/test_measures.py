"""What was measured of trials afterwards: read with their rows, and never in the place of what these have."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from evae.results import measures
from evae.results.store import Store, StoreError

ENDED = datetime(2026, 3, 2, 9, 0, 0, 123456, tzinfo=UTC)
TRIAL = {"trial": "a-s0", "state": "finished", "epochs": 3, "ended_at": ENDED, "rec_ssim": 0.5, "nothing": None}
TRIAL |= {"distances": json.dumps({"gen_fd_x": {"digest": "own"}})}
GIVEN = {"asked": ["rec_ssim", "gen_fid", "knn_accuracy_9"], "device": "cpu"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "study")
    made.prepare()
    made.write("trials", "a-s0", [TRIAL])
    made.write("trials", "b-s0", [TRIAL | {"trial": "b-s0", "state": "running", "ended_at": None, "distances": None}])
    return made


def read(store: Store) -> dict:
    return store.read("trials").to_pylist()[0]


def test_columns_of_later_are_read_with_the_trials_own(store):
    before = Path(store.path("trials", "a-s0.parquet")).read_bytes()
    identities = {"gen_fid": {"digest": "later"}, "gen_fd_x": {"digest": "later"}}
    measures.add(store, TRIAL, metrics={"gen_fid": 7.0, "rec_ssim": 0.9, "nothing": 1.0}, distances=identities, **GIVEN)
    row = read(store)
    assert (row["gen_fid"], row["rec_ssim"], row["nothing"]) == (7.0, 0.5, 1.0)
    assert json.loads(row["distances"]) == {"gen_fd_x": {"digest": "own"}, "gen_fid": {"digest": "later"}}
    assert not {"asked", "measured_at"} & row.keys() and row["ended_at"] == ENDED and row["epochs"] == 3
    other = store.read("trials").to_pylist()[1]
    assert other["gen_fid"] is None and other["distances"] is None and other["nothing"] is None
    assert Path(store.path("trials", "a-s0.parquet")).read_bytes() == before
    assert "gen_fid" not in store.rows("trials", "a-s0")[0]


def test_what_was_measured_first_stays(store):
    measures.add(store, TRIAL, metrics={"gen_fid": 7.0}, distances={"gen_fid": {"digest": "first"}}, **GIVEN)
    later = {"asked": ["val_gen_fid"], "device": "cuda"}
    identities = {"gen_fid": {"digest": "second"}, "val_gen_fid": {"digest": "second"}}
    measures.add(store, TRIAL, metrics={"gen_fid": 8.0, "val_gen_fid": 9.0}, distances=identities, **later)
    row = read(store)
    assert (row["gen_fid"], row["val_gen_fid"]) == (7.0, 9.0)
    known = json.loads(row["distances"])
    assert (known["gen_fid"]["digest"], known["val_gen_fid"]["digest"]) == ("first", "second")
    (kept,) = store.rows("measures", "a-s0")
    assert json.loads(kept["asked"]) == ["gen_fid", "knn_accuracy_9", "rec_ssim", "val_gen_fid"]


@pytest.mark.parametrize("change", [{"epochs": 4}, {"ended_at": ENDED + timedelta(microseconds=1)}])
def test_what_was_measured_of_another_training_is_void(store, change):
    """A trial that is trained anew, for more epochs, has other weights."""
    measures.add(store, TRIAL, metrics={"gen_fid": 7.0}, distances={"gen_fid": {"digest": "d"}}, **GIVEN)
    store.write("trials", "a-s0", [TRIAL | change])
    row = read(store)
    assert row.get("gen_fid") is None and "gen_fid" not in json.loads(row["distances"])
    measures.add(store, TRIAL | change, metrics={"val_gen_fid": 8.0}, distances={}, asked=["val_gen_fid"], device="cpu")
    assert read(store).get("gen_fid") is None and read(store)["val_gen_fid"] == 8
    assert json.loads(store.rows("measures", "a-s0")[0]["asked"]) == ["val_gen_fid"]


def test_a_damaged_file_is_named_and_costs_no_trial(store):
    measures.add(store, TRIAL, metrics={"gen_fid": 7.0}, distances={}, **GIVEN)
    Path(store.path("measures", "a-s0.parquet")).write_bytes(b"no Parquet")
    assert read(store)["rec_ssim"] == 0.5 and store.unreadable == ["measures/a-s0.parquet"]
    with pytest.raises(StoreError, match=r"measures/a-s0.*remove it and measure that trial again"):
        measures.add(store, TRIAL, metrics={}, distances={}, **GIVEN)


def test_rows_of_others_do_no_harm(store):
    store.write("measures", "x", [{"trial": ["no", "name"], "epochs": 3, "ended_at": ENDED, "gen_fid": 1.0}])
    store.write("measures", "y", [{"something": 1}])
    store.write("trials", "a-s0", [TRIAL | {"gen_fid": "text", "distances": "no JSON"}])
    assert read(store)["gen_fid"] == "text"
    measures.add(store, TRIAL, metrics={"gen_fid": 7.0}, distances={"gen_fid": {"digest": "d"}}, **GIVEN)
    assert read(store)["gen_fid"] == "text"


def test_a_study_without_trials_or_measures_reads_as_before(tmp_path):
    store = Store(tmp_path / "empty")
    assert store.read("trials").num_rows == 0
    store.prepare()
    store.write("trials", "a-s0", [TRIAL])
    assert store.read("trials").to_pylist() == [TRIAL]
