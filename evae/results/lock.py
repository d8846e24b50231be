"""One driver at a time: a lock on a folder, and a lease where there are no locks, as in object stores.

The kernel frees the lock of a process that died. A lease has to be renewed: `driver/lease.json` says who holds it, and
its age, by the store's own clock, whether its holder still lives. It needs no more of a store than that it shows what
was written last. Of two drivers that write at once both look again a moment later, and whoever finds the other's name
gives way; so does a holder that was away for longer than a lease lasts, as soon as it is back.
"""

import contextlib
import fcntl
import json
import os
import platform
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from evae.errors import UserError
from evae.results.store import Store, StoreError

BEAT_S = 15.0
"""How often a lease is renewed."""
LEASE_S = 60.0
"""How long it holds without that: a driver that was killed blocks the study for so long."""
SETTLE_S = 2.0
"""What a write may take until every reader sees it: so long a new holder waits before it looks again."""
FOLDER, LEASE, CLOCK = "driver", "lease.json", "clock"


@contextlib.contextmanager
def sole_driver(store: Store) -> Iterator[None]:
    """Raise UserError where another driver is at work on these results; inside, others are refused.

    Where another one has taken a lease over nevertheless, the store is closed for writing (`Store.closed`).
    """
    if store.is_local:
        with _opened(store) as file:
            if _lock(file, store):
                yield
                return
    with _lease(store):
        yield


def _opened(store: Store) -> IO[str]:
    try:
        return open(Path(store.root) / ".lock", "a+")
    except OSError as error:
        raise StoreError(f"cannot lock the results: {error}. Mend its permissions, or choose another --name.") from None


def _lock(file: IO[str], store: Store) -> bool:
    """Whether the folder is locked now; False where its file system has no locks. Raises UserError where it was."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        raise _in_use(store, file.read().strip() or "another process") from None
    except OSError:
        return False
    file.truncate(0)
    file.write(f"{_myself()}\n")
    file.flush()
    return True


@contextlib.contextmanager
def _lease(store: Store) -> Iterator[None]:
    holder = _holder(store)
    if holder is not None and (age_s := _age_s(store)) < LEASE_S:
        raise _in_use(store, f"{holder['who']}, last heard of {age_s:.0f} s ago", LEASE_S - age_s)
    mine = {"id": uuid.uuid4().hex, "who": _myself()}
    try:
        _write(store, mine)
        time.sleep(SETTLE_S)
        if (holder := _holder(store)) != mine:
            raise _in_use(store, holder["who"] if holder else "another process", LEASE_S)
        with _kept(store, mine):
            yield
    finally:
        with contextlib.suppress(UserError):
            if _holder(store) == mine:
                store.delete_bytes(FOLDER, LEASE)


@contextlib.contextmanager
def _kept(store: Store, mine: dict[str, str]) -> Iterator[None]:
    ended = threading.Event()
    keeper = threading.Thread(target=_keep, args=(store, mine, ended), name="lease", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        ended.set()
        keeper.join()


def _keep(store: Store, mine: dict[str, str], ended: threading.Event) -> None:
    """In a thread: renew the lease until the driver has ended, or the lease is another's."""
    while not ended.wait(BEAT_S):
        with contextlib.suppress(UserError):  # a store that cannot be reached now may be there at the next beat
            if (holder := _holder(store)) != mine:
                store.closed = (
                    f"{store.location} has been taken over by {holder['who'] if holder else 'another driver'}, since "
                    f"this one had not been heard of for {LEASE_S:.0f} s; it stops, and what it finished is kept."
                )
                return
            _write(store, mine)


def _holder(store: Store) -> dict[str, str] | None:
    """Whose lease it is, or None where nobody has one."""
    data = store.read_bytes(FOLDER, LEASE)
    if data is None:
        return None
    with contextlib.suppress(ValueError, TypeError, KeyError):
        found = json.loads(data)
        return {"id": str(found["id"]), "who": str(found["who"])}
    return {"id": "", "who": "another process"}


def _write(store: Store, holder: dict[str, str]) -> None:
    store.write_bytes(FOLDER, LEASE, json.dumps(holder).encode())


def _age_s(store: Store) -> float:
    """How long ago the lease was renewed, by the clock that dates the store's files."""
    store.write_bytes(FOLDER, CLOCK, b"")
    return store.written_at(FOLDER, CLOCK) - store.written_at(FOLDER, LEASE)


def _in_use(store: Store, who: str, at_most_s: float | None = None) -> UserError:
    killed = f" If it was killed, it blocks them for another {at_most_s:.0f} s at most." if at_most_s else ""
    return UserError(
        f"{store.location} is in use by {who}. Wait until that ends, or stop it; another study needs another --name."
        + killed
    )


def _myself() -> str:
    return f"process {os.getpid()} on {platform.node()}, since {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
