"""The report of a study that still runs: served to this machine alone, and made anew when its results have changed.

The store is only read, and only files that are complete: the study renames each into place.
"""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from analysis.page import page
from analysis.study.load import load
from evae.errors import UserError
from evae.results.places import shown
from evae.results.store import KINDS, Store

EVERY_S = 2.0  # between looks at the results
SHARE = 10  # a report that took a second to make is not made again for the next ten


class Live:
    """A page and its version, renewed by `look` when the store has changed."""

    def __init__(self, results: str | Path):
        self.results = results
        self.version, self.page = 0, b""
        self._seen: object = None
        self._rest_until = 0.0
        self.look()

    def look(self) -> bool:
        """Whether the page was made anew. Raises UserError when there is no study."""
        seen = state(Store(self.results))
        if seen == self._seen or time.monotonic() < self._rest_until:
            return False
        started = time.monotonic()
        self.page = page.render(load(self.results), live=True).encode("utf-8", "backslashreplace")
        self.version += 1
        self._seen = seen
        self._rest_until = time.monotonic() + SHARE * (time.monotonic() - started)
        return True


def state(store: Store) -> tuple[object, ...]:
    """What changes whenever a file of the study does."""
    files = (f for kind in KINDS for f in store.files(kind) + store.compacted(kind))
    return tuple((f.path, f.size, f.mtime_ns) for f in files)


def serve(live: Live, port: int) -> ThreadingHTTPServer:
    """A server of the page at / and its version at /version, on the loopback address only; not started yet.

    `port` 0 takes any free one. Raises UserError when the port is taken, or none.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = {"/": live.page, "/version": str(live.version).encode()}.get(self.path)
            self.send_response(200 if content is not None else 404)
            kind = "text/plain" if self.path == "/version" else "text/html"
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_: object) -> None:
            """No line for every request."""

    try:
        return ThreadingHTTPServer(("127.0.0.1", port), Handler)
    except (OSError, OverflowError) as error:
        raise UserError(f"cannot serve on port {port}: {error}. Choose another one with --port.") from None


def watch(results: str | Path, port: int) -> None:
    """Serve the report until Ctrl-C, looking at the results every few seconds."""
    live = Live(results)
    server = serve(live, port)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(
        f"http://127.0.0.1:{server.server_port}/ shows {shown(str(results))} while it changes; Ctrl-C ends it",
        flush=True,
    )
    try:
        while True:
            time.sleep(EVERY_S)
            live.look()
    except KeyboardInterrupt:
        server.shutdown()
