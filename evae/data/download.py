"""Downloads through torchvision that end soon when there is no web, and never leave half a file behind."""

import contextlib
import socket
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

from evae.data.names import shown
from evae.errors import UserError

TIMEOUT_S = 6.0


def fetch(urls: Sequence[str], into: Path, download: Callable[[Path], object], wanted: str) -> None:
    """Calls `download(folder)` with an empty folder, then moves the files it left there to `into`.

    The files appear under `into` only when all of them have arrived. `urls` are the hosts' addresses, of
    which one must answer first; `wanted` completes the sentence for a user who must get the files another
    way. Raises UserError within seconds where no host answers, and where the download fails.
    """
    if not _any_answers(urls):
        raise UserError(f"no answer from {' or '.join(urls)}: is this machine on the web? {wanted}")
    try:
        into.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=into) as folder, _timeout(TIMEOUT_S):
            download(Path(folder))
            for file in [found for found in Path(folder).rglob("*") if found.is_file()]:
                place = into / file.relative_to(folder)
                place.parent.mkdir(parents=True, exist_ok=True)
                file.replace(place)
    except (OSError, RuntimeError) as error:  # torchvision raises RuntimeError for a wrong checksum
        reason = " ".join(str(error).split())
        raise UserError(f"the download into {shown(into)} failed ({reason}). {wanted}") from error


def _any_answers(urls: Sequence[str]) -> bool:
    """Whether one of the hosts answers in time. In threads, because a name look-up knows no time limit."""
    answered = threading.Event()

    def ask(url: str) -> None:
        try:
            urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=TIMEOUT_S).close()
        except urllib.error.HTTPError:
            pass  # a host that refuses the question is there all the same
        except OSError:
            return
        answered.set()

    threads = [threading.Thread(target=ask, args=(url,), daemon=True) for url in urls]
    for thread in threads:
        thread.start()
    until = time.monotonic() + TIMEOUT_S
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    return answered.is_set()


@contextlib.contextmanager
def _timeout(seconds: float):
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
