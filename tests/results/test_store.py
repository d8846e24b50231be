"""The store: whole files or none, every column of every row, and clear words where something cannot be used."""

import multiprocessing
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import fs
from running import DEADLINE_S

from evae.errors import UserError
from evae.results.store import KINDS, Store, StoreError, to_json

NOON = datetime(2026, 1, 2, 12, microsecond=500_000, tzinfo=UTC)
ROOT = Path(__file__).parents[2]


@pytest.fixture
def store(tmp_path) -> Store:
    made = Store(tmp_path / "study")
    made.prepare()
    return made


def in_memory() -> Store:
    """A store on a file system that is not local."""
    store = Store("mock:///bucket/study")
    store.prepare()
    return store


def test_rows_come_back_as_they_went_in(store):
    row = {
        "trial": "a-s0",
        "number": 3,
        "label": None,
        "ended_at": datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
        "loss": 0.1,
        "rate_per_latent": [0.5, 2.0],
        "png": b"\x00\xff",
        "dirty": True,
    }
    store.write("trials", "a-s0", [row])
    assert store.read("trials").to_pylist() == [row] == store.rows("trials", "a-s0")


def test_one_file_a_trial_and_a_retry_replaces(store):
    store.write("epochs", "a-s0", [{"trial": "a-s0", "epoch": e} for e in (1, 2, 3)])
    store.write("epochs", "b-s0", [{"trial": "b-s0", "epoch": 1}])
    store.write("epochs", "a-s0", [{"trial": "a-s0", "epoch": 1}])
    assert sorted(os.listdir(Path(store.root) / "epochs")) == ["a-s0.parquet", "b-s0.parquet"]
    assert store.read("epochs").to_pylist() == [{"trial": "a-s0", "epoch": 1}, {"trial": "b-s0", "epoch": 1}]


def test_rows_of_one_file_may_have_different_columns(store):
    rows = [{"trial": "a", "loss": 1.0}, {"trial": "a", "loss": 2.0, "rate": 3.0}]
    store.write("epochs", "a", rows)
    assert store.read("epochs").to_pylist() == [rows[0] | {"rate": None}, rows[1]]


@pytest.mark.parametrize(
    ("values", "read_back"),
    [
        ([None, "gaussian", None], [None, "gaussian", None]),
        ([None, 0.5], [None, 0.5]),
        ([1, 0.5], [1.0, 0.5]),
        ([2**40, 1], [2**40, 1]),
        ([[1.0], None, []], [[1.0], None, []]),
        (["auto", 0.5, None, 3], ["auto", "0.5", None, "3"]),
        ([True, "yes"], ["true", "yes"]),
        ([True, 2], ["true", "2"]),
        ([[1.5], 2], ["[1.5]", "2"]),
        ([NOON, "2026-01-02", None], ["2026-01-02 12:00:00.500000+00:00", "2026-01-02", None]),
    ],
    ids=str,
)
def test_a_column_of_other_types_in_other_files_is_still_read(store, values, read_back):
    for index, value in enumerate(values):
        store.write("trials", f"t{index}", [{"trial": f"t{index}", "param_x": value}])
    table = store.read("trials")
    assert table.column("param_x").to_pylist() == read_back
    assert table.column("trial").to_pylist() == [f"t{i}" for i in range(len(values))]
    assert store.unreadable == []


cells = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**50), 2**50), st.floats(allow_nan=False), st.text(max_size=5)
)


@given(rows=st.lists(st.dictionaries(st.sampled_from("abcd"), cells), min_size=1, max_size=5))
@settings(max_examples=60)
def test_no_mix_of_files_hides_a_row_or_a_value(rows):
    store = Store("mock:///")
    store.prepare()
    for index, row in enumerate(rows):
        store.write("trials", str(index), [row | {"trial": str(index)}])
    read = store.read("trials").to_pylist()
    assert [row["trial"] for row in read] == [str(i) for i in range(len(rows))]
    for was, now in zip(rows, read, strict=True):
        assert all((now.get(name) is None) == (value is None) for name, value in was.items())
        assert all(now[name] is None for name in now if name not in (*was, "trial"))


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_there_is_an_empty_table(tmp_path, kind):
    assert Store(tmp_path / "nowhere").read(kind).num_rows == 0
    assert Store(tmp_path / "nowhere").rows(kind, "x") == []


def test_unreadable_files_are_left_out_and_named(store):
    for trial in "abcd":
        store.write("trials", trial, [{"trial": trial}])
    folder = Path(store.root) / "trials"
    (folder / "b.parquet").write_bytes(b"")
    (folder / "c.parquet").write_bytes((folder / "a.parquet").read_bytes()[:-20])
    (folder / "e.parquet").write_text("not parquet at all")
    (folder / "f.parquet").mkdir()
    assert store.read("trials").column("trial").to_pylist() == ["a", "d"]
    bad = [f"trials/{name}.parquet" for name in "bcef"]
    assert store.unreadable == bad
    store.read("epochs")
    assert store.unreadable == bad
    assert store.rows("trials", "a") == [{"trial": "a"}] and store.rows("trials", "z") == []
    for name in "bcef":
        with pytest.raises(StoreError, match=rf"trials/{name}\.parquet \(.+\)\. Restore it from a copy, or remove it"):
            store.rows("trials", name)
    with pytest.raises(StoreError, match=r"b\.parquet.*c\.parquet.*e\.parquet.*f\.parquet"):
        store.rows("trials")
    for name in "bce":
        (folder / f"{name}.parquet").unlink()
    (folder / "f.parquet").rmdir()
    store.read("trials")
    assert store.unreadable == []


def test_a_file_of_which_a_bit_has_turned_or_a_piece_is_gone_is_whole_or_named(store):
    """Neither a value that nobody wrote, but in the footer, where names are, nor an error of another kind."""
    row = {"trial": "a", "text": "ü" * 40, "number": 0.1, "recipe": to_json({"x": [1.5] * 20})}
    store.write("trials", "a", [row])
    file = Path(store.root) / "trials" / "a.parquet"
    whole, random = file.read_bytes(), np.random.default_rng(0)
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    seen = set()
    for place in range(0, len(whole), 7):
        for damage in ("bit", "piece"):
            data = bytearray(whole)
            if damage == "bit":
                data[place] ^= 1 << int(random.integers(8))
            else:
                del data[place : place + 1 + int(random.integers(60))]
            file.write_bytes(data)
            try:
                seen.add(same := store.rows("trials") == [row])
                assert same or place >= footer
            except StoreError as error:
                seen.add("named")
                assert "trials/a.parquet" in str(error)
    assert {True, "named"} <= seen


@pytest.mark.parametrize("kind", KINDS)
def test_many_damaged_files_are_named_and_counted(store, kind):
    for key in range(8):
        (Path(store.root) / kind / f"{key}.parquet").write_bytes(b"PAR1")
    with pytest.raises(StoreError, match=r"0\.parquet.*4\.parquet .*, and 3 more\. Restore it from a copy"):
        store.rows(kind)


def test_a_file_without_rows_is_not_taken_for_no_file(store):
    store.write("trials", "a", [])
    assert store.read("trials").num_rows == 0 and store.unreadable == []
    for key in (None, "a"):
        with pytest.raises(StoreError, match=r"a\.parquet \(it has no rows\)"):
            store.rows("trials", key)


def test_a_copy_under_another_name_is_named_and_hidden_files_are_none_of_ours(store):
    store.write("trials", "a", [{"trial": "a"}])
    folder = Path(store.root) / "trials"
    (folder / "._a.parquet").write_bytes(b"what a Mac leaves beside a copy")
    assert store.rows("trials") == [{"trial": "a"}] == store.read("trials").to_pylist() and store.unreadable == []
    (folder / "a (copy).parquet").write_bytes((folder / "a.parquet").read_bytes())
    with pytest.raises(StoreError, match=r"trials/a \(copy\)\.parquet \(it is not the trial of its name\)"):
        store.rows("trials")


def test_a_folder_that_cannot_be_listed_is_not_taken_for_an_empty_one(store):
    (Path(store.root) / "trials").rmdir()
    (Path(store.root) / "trials").write_text("")
    for read in (store.read, store.rows, store.sizes):
        with pytest.raises(StoreError, match="cannot read results"):
            read("trials")


def test_rows_keep_the_types_of_their_own_file(store):
    store.write("trials", "a", [{"trial": "a", "at": datetime(2026, 1, 2, tzinfo=UTC), "x": 1}])
    store.write("trials", "b", [{"trial": "b", "at": "2026-01-03", "y": 0.5}])
    assert store.rows("trials") == [
        {"trial": "a", "at": datetime(2026, 1, 2, tzinfo=UTC), "x": 1, "y": None},
        {"trial": "b", "at": "2026-01-03", "x": None, "y": 0.5},
    ]


def write_for_ever(root: str, ready, rows: int) -> None:
    store, count = Store(root), 0
    while True:
        count += 1
        store.write("trials", "a", [{"trial": "a", "count": count, "fill": "x" * 2000}] * rows)
        if count == 1:
            ready.set()


def test_a_reader_beside_a_writer_and_its_death_never_sees_half_a_file(store):
    spawn = multiprocessing.get_context("spawn")
    ready = spawn.Event()
    writer = spawn.Process(target=write_for_ever, args=(store.root, ready, 500), daemon=True)
    writer.start()
    assert ready.wait(DEADLINE_S)
    seen, begun = set(), time.monotonic()
    try:
        while len(seen) <= 20:
            assert time.monotonic() - begun < DEADLINE_S
            counts = store.read("trials").column("count").to_pylist()
            assert store.unreadable == []
            assert len(counts) == 500 and len(set(counts)) == 1
            seen.add(counts[0])
    finally:
        writer.kill()
        writer.join()
    assert len(set(store.read("trials").column("count").to_pylist())) == 1


def test_what_a_killed_writer_leaves_is_not_read(store):
    store.write("trials", "a", [{"trial": "a"}])
    (Path(store.root) / "trials" / "a.parquet.0123.part").write_bytes(b"half")
    assert store.read("trials").to_pylist() == [{"trial": "a"}] and store.unreadable == []


@pytest.mark.parametrize("is_local", [True, False])
def test_a_write_that_fails_leaves_the_old_file_and_no_rest(store, is_local):
    store = store if is_local else in_memory()
    store.write_bytes("weights", "a", b"old")

    def half(sink: Any) -> None:
        sink.write(b"half")
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        store._put(store.path("weights", "a"), half)
    assert store.read_bytes("weights", "a") == b"old"
    assert list(store.sizes("weights", "")) == ["a"]


def test_files_beside_the_tables(store):
    assert store.read_bytes("checkpoints", "a") is None
    store.write_bytes("checkpoints", "a", b"12")
    store.write_bytes("checkpoints", "a", b"3")
    assert store.read_bytes("checkpoints", "a") == b"3"
    store.delete_bytes("checkpoints", "a")
    store.delete_bytes("checkpoints", "a")
    assert store.read_bytes("checkpoints", "a") is None


def test_a_file_system_that_is_not_local_serves_as_well():
    store = in_memory()
    assert not store.is_local
    store.write("trials", "a", [{"trial": "a", "number": 1}])
    store.write("trials", "a", [{"trial": "a", "number": 2}])
    store.write_bytes("weights", "a.safetensors", b"w")
    assert store.read("trials").to_pylist() == [{"trial": "a", "number": 2}]
    assert store.read_bytes("weights", "a.safetensors") == b"w"
    store.delete_bytes("weights", "a.safetensors")
    assert store.read_bytes("weights", "a.safetensors") is None


def test_a_file_uri_is_the_folder_itself(tmp_path):
    by_uri = Store(f"file://{tmp_path}/study")
    by_uri.prepare()
    by_uri.write("trials", "a", [{"trial": "a"}])
    assert by_uri.is_local and Store(tmp_path / "study").read("trials").to_pylist() == [{"trial": "a"}]


def test_a_relative_folder_stays_where_it_was_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = Store("results/a")
    monkeypatch.chdir("/")
    store.prepare()
    assert (tmp_path / "results" / "a" / "trials").is_dir()


def test_preparing_leaves_folders_and_nothing_else(store):
    assert {path.name for path in Path(store.root).iterdir()} == set(KINDS)
    assert not [path for path in Path(store.root).rglob("*") if path.is_file()]
    store.write("trials", "a", [{"trial": "a"}])
    store.prepare()
    assert store.read("trials").num_rows == 1


def test_results_below_a_regular_file_are_a_user_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write results.*--results"):
        Store(tmp_path / "file" / "study").prepare()


@pytest.fixture
def small_disk(tmp_path):
    """A folder with room for 64 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("only root can mount a small file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_a_user_error_that_keeps_what_was_there(small_disk):
    store = Store(small_disk)
    store.prepare()
    store.write("trials", "a", [{"trial": "a"}])
    with pytest.raises(UserError, match=r"cannot write results.*No space left.*--results"):
        store.write_bytes("weights", "big", os.urandom(100_000))
    assert store.read("trials").num_rows == 1 and os.listdir(small_disk / "weights") == []
    (small_disk / "fill").write_bytes(b"x" * (os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_bsize))
    with pytest.raises(UserError, match="No space left"):
        store.prepare()


def test_a_read_only_folder_is_a_user_error(small_disk):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(UserError, match="Read-only file system"):
        Store(small_disk / "study").prepare()


def test_json_is_the_same_for_equal_values():
    assert to_json({"b": 1, "a": {"d": None, "c": 0.1}}) == to_json({"a": {"c": 0.1, "d": None}, "b": 1})


def test_a_table_is_plain_parquet(store):
    store.write("trials", "a", [{"trial": "a", "loss": 1.5}])
    table = pq.read_table(f"{store.root}/trials/a.parquet")
    assert table.schema.field("loss").type == pa.float64()
    assert table.column("loss").to_pylist() == [1.5]


def test_reading_results_needs_neither_torch_nor_ray():
    code = "import sys, evae.results.store; print([m for m in ('torch', 'ray', 'optuna') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_once_another_driver_has_taken_over_nothing_is_written(store):
    store.write("trials", "a", [{"trial": "a"}])
    store.write_bytes("checkpoints", "a", b"1")
    store.closed = "taken over by somebody"
    for change in (
        store.prepare,
        lambda: store.write("trials", "a", [{"trial": "b"}]),
        lambda: store.write_bytes("checkpoints", "a", b"2"),
        lambda: store.delete_bytes("checkpoints", "a"),
    ):
        with pytest.raises(StoreError, match="taken over by somebody"):
            change()
    assert store.rows("trials") == [{"trial": "a"}] and store.read_bytes("checkpoints", "a") == b"1"


def test_pickled_stores_open_the_same_place(store):
    import pickle

    store.write("trials", "a", [{"trial": "a"}])
    again = pickle.loads(pickle.dumps(store))
    assert again.read("trials").num_rows == 1
    assert isinstance(again.filesystem, fs.LocalFileSystem)
