"""One driver at a time, on a folder and where there are no locks."""

import copy
import errno
import fcntl
import json
import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from object_store import bucket
from pyarrow import fs

from evae.errors import UserError
from evae.results import lock
from evae.results.lock import sole_driver
from evae.results.places import join
from evae.results.store import Store, StoreError

OTHER = {"id": "another", "who": "process 7 on node-b, since 2026-01-02 03:04 UTC"}
LONG_S = 600.0
"""What no test waits for; it keeps a hanging one from hanging the others."""


@pytest.fixture
def objects(tmp_path) -> Store:
    """A store whose file system has no locks, and whose files dates of their own."""
    store = Store(tmp_path)
    store.filesystem, store.root = fs.SubTreeFileSystem(str(tmp_path), store.filesystem), "study"
    store.prepare()
    return store


@pytest.fixture
def quick(monkeypatch):
    """A lease that is renewed all the time, and settles at once."""
    monkeypatch.setattr(lock, "BEAT_S", 0.01)
    monkeypatch.setattr(lock, "SETTLE_S", 0.0)


def lease(store: Store) -> Path:
    return Path(store.filesystem.base_path) / "study" / "driver" / "lease.json"


def hold(store: Store, holder: object = OTHER, age_s: float = 0.0) -> None:
    """Another driver's lease, renewed so long ago."""
    store.write_bytes("driver", "lease.json", json.dumps(holder).encode())
    then = time.time() - age_s
    os.utime(lease(store), (then, then))


def await_true(true: Callable[[], bool]) -> None:
    begun = time.monotonic()
    while not true():
        assert time.monotonic() - begun < LONG_S
        time.sleep(0.005)


def test_a_folder_is_one_drivers_until_it_ends(tmp_path):
    store = Store(tmp_path)
    for _ in range(2):
        with (
            sole_driver(store),
            pytest.raises(UserError, match=rf"in use by process {os.getpid()} on .*--name"),
            sole_driver(Store(tmp_path)),
        ):
            pytest.fail("two drivers on one folder")
    assert os.listdir(tmp_path) == [".lock"]


def hold_until_killed(folder: str, ready) -> None:
    with sole_driver(Store(folder)):
        ready.set()
        threading.Event().wait()


def test_a_killed_driver_frees_its_folder_at_once(tmp_path):
    spawn = multiprocessing.get_context("spawn")
    ready = spawn.Event()
    driver = spawn.Process(target=hold_until_killed, args=(str(tmp_path), ready), daemon=True)
    driver.start()
    assert ready.wait(LONG_S)
    with pytest.raises(UserError, match=f"process {driver.pid} on"), sole_driver(Store(tmp_path)):
        pytest.fail("two drivers on one folder")
    driver.kill()
    driver.join()
    with sole_driver(Store(tmp_path)):
        pass


def test_a_folder_whose_file_system_has_no_locks_is_leased(tmp_path, quick, monkeypatch):
    """As some network file systems answer."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    store = Store(tmp_path)
    with (
        sole_driver(store),
        pytest.raises(UserError, match=rf"in use by process {os.getpid()} on"),
        sole_driver(Store(tmp_path)),
    ):
        pytest.fail("two drivers on one folder")
    with sole_driver(Store(tmp_path)):
        pass


def test_a_lock_file_that_cannot_be_opened_is_a_sentence(tmp_path):
    (tmp_path / ".lock").mkdir()
    with pytest.raises(StoreError, match="cannot lock the results"), sole_driver(Store(tmp_path)):
        pytest.fail("no lock, and yet")


def test_a_lease_is_refused_to_others_and_given_back(objects, quick):
    for _ in range(2):
        with (
            sole_driver(objects),
            pytest.raises(UserError, match=rf"in use by process {os.getpid()} on .*--name.* 60 s at most"),
            sole_driver(objects),
        ):
            pytest.fail("two drivers on one prefix")
        assert not lease(objects).exists()
    assert objects.closed is None


@pytest.mark.parametrize("holder", [OTHER, {}, [], "nobody", None], ids=str)
def test_a_lease_counts_by_its_age_whatever_it_says(objects, quick, holder):
    hold(objects, holder, age_s=lock.LEASE_S / 2)
    who = "process 7 on node-b" if holder == OTHER else "another process"
    with pytest.raises(UserError, match=rf"in use by {who}.*last heard of \d+ s ago"), sole_driver(objects):
        pytest.fail("two drivers on one prefix")
    hold(objects, holder, age_s=lock.LEASE_S + 1)
    with sole_driver(objects):
        assert f"process {os.getpid()}" in lease(objects).read_text()


def test_a_lease_is_renewed_as_long_as_its_driver_lives(objects, quick):
    with sole_driver(objects):
        os.utime(lease(objects), (0, 0))
        await_true(lambda: lease(objects).stat().st_mtime > 0)


@pytest.mark.parametrize("theirs", ["held", "gone"])
def test_who_finds_its_lease_taken_over_writes_no_more_and_leaves_it(objects, quick, theirs):
    """It was away for longer than a lease holds; the other may have ended meanwhile."""
    with sole_driver(objects):
        if theirs == "held":
            hold(objects)
        else:
            lease(objects).unlink()
        await_true(lambda: objects.closed is not None)
        with pytest.raises(StoreError, match=r"taken over by .*; it stops, and what it finished is kept"):
            objects.write("trials", "a", [{"trial": "a"}])
    assert lease(objects).exists() == (theirs == "held")
    assert ("node-b" in objects.closed) == (theirs == "held")


def test_who_is_interrupted_at_its_start_leaves_no_lease(objects, monkeypatch):
    def interrupt(_: float) -> None:
        assert lease(objects).exists()
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", interrupt)
    with pytest.raises(KeyboardInterrupt), sole_driver(objects):
        pytest.fail("it was interrupted before")
    assert not lease(objects).exists()


def test_of_two_that_begin_at_once_the_last_to_write_holds(objects, quick, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda _: hold(objects))
    with pytest.raises(UserError, match="in use by process 7 on node-b"), sole_driver(objects):
        pytest.fail("two drivers on one prefix")
    assert json.loads(lease(objects).read_text()) == OTHER


def test_of_many_that_begin_at_once_one_goes_on(objects, monkeypatch):
    """Whoever was too slow to be refused at its start is stopped at its next beat."""
    monkeypatch.setattr(lock, "BEAT_S", 0.01)
    monkeypatch.setattr(lock, "SETTLE_S", 0.2)
    together, ended = threading.Barrier(6), threading.Event()
    stores, held, refused = [copy.copy(objects) for _ in range(6)], [], []

    def begin(store: Store) -> None:
        together.wait(LONG_S)
        try:
            with sole_driver(store):
                held.append(store)
                ended.wait(LONG_S)
        except UserError:
            refused.append(store)

    drivers = [threading.Thread(target=begin, args=(store,), daemon=True) for store in stores]
    for driver in drivers:
        driver.start()
    await_true(lambda: len(held) + len(refused) == 6 and sum(not store.closed for store in held) == 1)
    ended.set()
    for driver in drivers:
        driver.join(LONG_S)


def test_a_store_that_is_away_for_a_beat_is_no_reason_to_stop(quick):
    with bucket() as server:
        store = Store(join(server.uri("studies"), "one"))
        store.prepare()
        with sole_driver(store):
            server.down = True
            asked = server.refused
            await_true(lambda: server.refused >= asked + 3)
            server.down = False
            assert store.closed is None
            with pytest.raises(UserError, match=f"in use by process {os.getpid()}"), sole_driver(store):
                pytest.fail("two drivers on one prefix")
        assert not [key for key in server.objects if key.endswith("lease.json")]
