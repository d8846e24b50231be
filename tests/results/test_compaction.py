"""Small files made few: read the same before, meanwhile and afterwards, whoever is killed."""

import json
import multiprocessing
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from compacting import (
    COUNT,
    Dying,
    Killed,
    compact_once,
    copied,
    everything,
    fill,
    many,
    rewrite_for_ever,
    small,
    trial,
)
from object_store import SECRET, bucket
from pyarrow import fs
from running import DEADLINE_S

from evae.results import compacted
from evae.results.compaction import MANY, compact, tidied
from evae.results.store import Store, StoreError, Unreachable


@pytest.fixture(params=["folder", "bucket"])
def place(request, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Where stores of a name lie: in a folder, and in an object store of S3's kind."""
    if request.param == "folder":
        yield lambda name: str(tmp_path / name)
    else:
        with bucket() as server:
            yield server.uri


@pytest.fixture
def store(place) -> Store:
    return fill(Store(place("study")))


def test_all_is_read_as_before(store):
    before = everything(store)
    assert compact(store, 2) == 3 * COUNT
    assert small(store) == 0 and many(store) <= 5 and len(store.files("study")) == 1
    assert everything(store) == before
    assert store.rows("trials", "nobody") == [] == store.rows("trials", f"{trial(3)}0")
    assert compact(store, 2) == 0 and everything(store) == before


def test_few_files_stay_as_they_are(store):
    assert compact(store) == 0 and small(store) == 3 * COUNT


def test_types_stay_and_values_too(store):
    compact(store, 2)
    values = {row["trial"]: row["param_x"] for row in store.rows("trials")}
    assert [values[trial(index)] for index in (0, 1, 5)] == [0.5, 1, "auto"]
    assert [type(values[trial(index)]) for index in (0, 1, 5)] == [float, int, str]
    assert store.rows("trials", trial(9))[0]["rates"] == [0.5] * 9
    table = store.columns("trials", ["number", "nothing"])
    assert table.column_names == ["number"] and sorted(table.column("number").to_pylist()) == list(range(COUNT))


def test_a_trial_of_later_is_the_one_that_is_read(store):
    compact(store, 2)
    key = trial(4)
    store.write("trials", key, [{"trial": key, "number": 4, "loss": 9.0}])
    store.write("epochs", key, [{"trial": key, "epoch": 1}])
    for _ in range(2):
        assert [row["loss"] for row in store.rows("trials", key)] == [9.0]
        assert [row["loss"] for row in store.rows("trials")].count(9.0) == 1
        assert store.read("trials").num_rows == COUNT == len(store.sizes("trials"))
        assert [row["epoch"] for row in store.rows("epochs", key)] == [1]
        assert store.read("epochs").num_rows == 3 * COUNT - 2
        before = everything(store)
        compact(store)  # which takes up the few small files that are newer than compacted ones
        assert small(store) == 0 and everything(store) == before


def test_full_files_are_left_and_others_go_on_growing(store):
    compact(store, 2, full=1)
    assert len(store.compacted("epochs")) == COUNT
    before = {info.path for info in store.compacted("epochs")}
    extra = f"{99:012x}-s0"
    store.write("epochs", extra, [{"trial": extra, "epoch": 1, "loss": 0.5}])
    compact(store, 1, full=1)
    assert before < {info.path for info in store.compacted("epochs")}
    compact(store, 1)
    store.write("epochs", f"{98:012x}-s0", [{"trial": f"{98:012x}-s0", "epoch": 1, "loss": 0.5}])
    compact(store, 1)
    assert len(store.compacted("epochs")) == 1 and len(store.sizes("epochs")) == COUNT + 2


def test_killed_at_any_moment_it_loses_nothing_and_the_next_session_finishes_it(place, request):
    """Of the second compaction, which replaces files of the first and has trials of later. In the bucket, where all
    takes longer, at some moments."""
    moments, step = 0, 1 if "folder" in request.node.name else 9
    made = fill(Store(place("made")))
    compact(made, 2)
    for index in range(COUNT - 2, COUNT + 3):
        made.write("trials", trial(index), [{"trial": trial(index), "number": 100 + index}])
        made.write("epochs", trial(index), [{"trial": trial(index), "epoch": 7}])
    before = everything(made)
    while True:
        at = copied(made, place(str(moments)))
        at.filesystem = Dying(at.filesystem, moments)
        try:
            compact(at, 2)
            break
        except Killed:
            again = Store(place(str(moments)))
            moments += step
        assert everything(again) == before
        compact(again)
        assert everything(again) == before
        assert small(again) in (0, 10, 5)  # too few to begin with, unless it had begun
        assert len(again.compacted("trials")) <= 4 and len(again.compacted("epochs")) == 1
        listings = {compacted.sidecar(info.base_name) for info in again.compacted("trials")}
        assert {info.base_name for info in again.files(f"trials/{compacted.FOLDER}", ".json")} == listings
    assert moments > 20


def test_a_reader_beside_it_and_its_death_sees_each_trial_once(store, place, request):
    spawn = multiprocessing.get_context("spawn")
    ready = spawn.Event()
    process = spawn.Process(target=rewrite_for_ever, args=(place("study"), ready), daemon=True)
    process.start()
    names = [trial(index) for index in range(COUNT)]
    try:
        assert ready.wait(DEADLINE_S)
        seen, begun = set(), time.monotonic()
        # In the bucket each look takes several times as long.
        while len(seen) <= (20 if "folder" in request.node.name else 8):
            assert time.monotonic() - begun < DEADLINE_S
            table = store.read("trials")
            assert table.column("trial").to_pylist() == names and store.unreadable == []
            assert sorted(row["trial"] for row in store.rows("trials")) == names
            assert len(store.rows("trials", names[1])) == len(store.rows("trials", names[9])) == 1
            assert sorted(store.sizes("trials")) == names
            seen.add(table.column("count").to_pylist()[0])
    finally:
        process.kill()
        process.join()
    assert Store(place("study")).read("trials").column("trial").to_pylist() == names
    compact(store)
    assert store.read("trials").column("trial").to_pylist() == names


class Meanwhile:
    """A file system beside which something happens, once, after a file was opened to be read."""

    def __init__(self, real: fs.FileSystem, then: Callable[[], Any]):
        self.real, self.then = real, then

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def open_input_file(self, path: str) -> Any:
        found, then, self.then = self.real.open_input_file(path), self.then, lambda: None
        then()
        return found


def test_what_is_compacted_once_it_is_open_is_read_from_where_it_is_then(store, place):
    store.filesystem = Meanwhile(store.filesystem, lambda: compact(Store(place("study")), 2))
    (row,) = store.rows("trials", trial(3))
    assert row["number"] == 3 and small(store) == 0


def test_a_bucket_that_goes_away_once_a_file_is_open_is_no_damaged_file():
    with bucket() as server:
        store = fill(Store(server.uri("study")))
        store.filesystem = Meanwhile(store.filesystem, lambda: setattr(server, "down", True))
        with pytest.raises(Unreachable, match="cannot read results") as refused:
            store.rows("trials", trial(3))
    assert SECRET not in str(refused.value)


def test_two_at_once_lose_nothing(store, place):
    """Though the lock keeps them apart."""
    before = everything(store)
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(2)
    processes = [spawn.Process(target=compact_once, args=(place("study"), barrier), daemon=True) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(DEADLINE_S)
        assert process.exitcode == 0
    assert everything(store) == before
    compact(store)
    assert everything(store) == before


def test_a_damaged_one_is_named_with_what_it_holds(tmp_path):
    store = fill(Store(tmp_path / "study"))
    compact(store, 2)
    (info,) = store.compacted("epochs")
    file, whole = Path(info.path), Path(info.path).read_bytes()
    for data in (b"", whole[: len(whole) // 2], whole[:100] + bytes([whole[100] ^ 1]) + whole[101:]):
        file.write_bytes(data)
        for read in (lambda: store.rows("epochs"), lambda: store.rows("epochs", trial(3))):
            with pytest.raises(
                StoreError, match=rf"epochs/{compacted.FOLDER}/0.*it holds {COUNT}: {trial(0)}, .*, \.\.\.\)"
            ):
                read()
        assert store.read("epochs").num_rows == 0 and trial(0) in store.unreadable[0]
    (file.parent / compacted.sidecar(file.name)).unlink()
    with pytest.raises(StoreError, match="it holds many, and which is not known"):
        store.rows("epochs")
    store.write("epochs", trial(0), [{"trial": trial(0), "epoch": 1}])
    assert store.rows("epochs", trial(0)) and compact(store, 1) == 0 and file.exists()
    file.unlink()
    assert len(store.rows("epochs")) == 1
    with pytest.raises(StoreError, match=r"give this study a --name of its own: with --pool"):
        Path(store.compacted("trials")[0].path).write_bytes(b"")
        store.rows("trials")


def test_a_damaged_small_file_stays_and_is_named(store):
    store.write_bytes("trials", f"{trial(2)}.parquet", b"no Parquet")
    compact(store, 2)
    assert [info.base_name for info in store.files("trials")] == [f"{trial(2)}.parquet"]
    with pytest.raises(StoreError, match=rf"trials/{trial(2)}\.parquet"):
        store.rows("trials")
    assert store.read("trials").num_rows == COUNT - 1


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda table: table.drop_columns([compacted.KEY]), "does not say what its rows were"),
        (lambda table: table.set_column(0, compacted.KEY, [[None] * len(table)]), "does not say what its rows were"),
        (lambda table: table.set_column(0, compacted.KEY, [[1] * len(table)]), "does not say what its rows were"),
        (lambda table: table.drop_columns(["trial"]), "does not say which trial"),
        (lambda table: table.set_column(0, compacted.KEY, [["x"] * len(table)]), "not the trial of their name"),
    ],
)
def test_one_of_other_columns_is_refused(tmp_path, change, why):
    store = fill(Store(tmp_path / "study"))
    compact(store, 2)
    path = store.compacted("trials")[-1].path
    table = pq.read_table(path)
    pq.write_table(change(table), path)
    key = "x" if why.startswith("not") else table.column("trial")[0].as_py()
    for read in (lambda: store.rows("trials"), lambda: store.rows("trials", key)):
        with pytest.raises(StoreError, match=why):
            read()


def test_versions_that_know_nothing_of_it_find_a_file_that_they_cannot_read(store):
    """They list the folder of a kind, and open what ends in .parquet."""
    compact(store, 2)
    found = store.filesystem.get_file_info(fs.FileSelector(store.path("trials")))
    (entry,) = (info for info in found if info.path.endswith(".parquet"))
    assert not entry.base_name.startswith(".") and "newer" in entry.base_name
    with pytest.raises(OSError, match=r"."), store.filesystem.open_input_file(entry.path) as source:
        pq.ParquetFile(source)


def test_a_study_of_a_later_schema_is_refused(store):
    store.write("study", "later", [{"session": "later", "schema_version": 99}])
    with pytest.raises(StoreError, match=r"study/later\.parquet \(it is of schema 99.*take a newer one"):
        store.rows("study")


def test_a_folder_is_plain_parquet(tmp_path):
    store = fill(Store(tmp_path / "study"))
    compact(store, 2)
    assert pq.read_table(store.path("epochs")).num_rows == 3 * COUNT
    (listing,) = Path(store.path("epochs", compacted.FOLDER)).glob("_*.json")
    assert json.loads(listing.read_text()) == [trial(index) for index in range(COUNT)]


def test_once_another_driver_has_taken_over_nothing_is_compacted(store):
    store.closed = "taken over by somebody"
    with pytest.raises(StoreError, match="taken over by somebody"):
        compact(store, 2)
    assert small(store) == 3 * COUNT


def test_what_cannot_be_compacted_is_said_at_the_end_of_what_is_done(tmp_path):
    store = Store(tmp_path / "study")
    store.prepare()
    for index in range(MANY):
        store.write("epochs", trial(index), [{"epoch": 1}])
    store.closed = "taken over by somebody"
    assert tidied(store) == ["the small files of the results stay as they are: taken over by somebody"]
    store.closed = None
    assert tidied(store) == [] and small(store) == 0
