"""An object store of S3's kind on this machine's loopback: what pyarrow asks of one, kept in memory."""

import contextlib
import re
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

KEY, SECRET = "AKIAEXAMPLE", "s3cr3tk3yof40"


class Bucket(ThreadingHTTPServer):
    """One bucket, called "bucket". `objects` are by key: (when it was written, its bytes)."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Requests)
        self.objects: dict[str, tuple[datetime, bytes]] = {}
        self.parts: dict[str, dict[int, bytes]] = {}
        self.down = False
        """Whether it answers nothing but errors."""
        self.refused = 0
        """How often it has."""

    def uri(self, path: str = "", key: str = KEY, secret: str = SECRET) -> str:
        """The URI of a folder in it, as users write them."""
        server = f"127.0.0.1:{self.server_port}"
        return f"s3://{key}:{secret}@bucket/{path}?scheme=http&region=us-east-1&endpoint_override={server}"


class Requests(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # An answer is not to wait for the acknowledgement of its first half.
    disable_nagle_algorithm = True
    server: Bucket

    def log_message(self, *_: object) -> None:
        """No line for every request."""

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _missing(self, code: str = "NoSuchKey", status: int = 404) -> None:
        self._answer(status, f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode())

    def _asked(self) -> tuple[str, dict[str, str]] | None:
        """The key and the query; None where an error has been answered."""
        self.body = self._read()
        parts = urlsplit(self.path)
        bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
        if self.server.down:
            self.server.refused += 1
            return self._missing("AccessDenied", 403)
        if bucket != "bucket":
            return self._missing("NoSuchBucket")
        return key, {name: value[0] for name, value in parse_qs(parts.query, keep_blank_values=True).items()}

    def _read(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            data = b""
            while length := int(self.rfile.readline(), 16):
                data += self.rfile.read(length)
                self.rfile.readline()
            self.rfile.readline()
        else:
            data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "aws-chunked" not in self.headers.get("Content-Encoding", ""):
            return data
        # S3 has chunks of its own within those of HTTP, and a checksum after the last.
        found = b""
        while True:
            size, _, data = data.partition(b"\r\n")
            if not (length := int(size.partition(b";")[0], 16)):
                return found
            found, data = found + data[:length], data[length + 2 :]

    def do_HEAD(self) -> None:
        if (asked := self._asked()) is None:
            return
        key, _ = asked
        if not key:
            return self._answer(200)
        if key not in self.server.objects:
            return self._missing()
        when, data = self.server.objects[key]
        self._answer(200, Content_Length=str(len(data)), Last_Modified=format_datetime(when, usegmt=True), ETag='"x"')

    def do_GET(self) -> None:
        if (asked := self._asked()) is None:
            return
        key, query = asked
        if not key:
            return self._list(query)
        if key not in self.server.objects:
            return self._missing()
        when, data = self.server.objects[key]
        headers = {"Last_Modified": format_datetime(when, usegmt=True), "ETag": '"x"'}
        if found := re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", "")):
            first, last = int(found[1]), min(int(found[2]), len(data) - 1)
            headers["Content_Range"] = f"bytes {first}-{last}/{len(data)}"
            return self._answer(206, data[first : last + 1], **headers)
        self._answer(200, data, **headers)

    def _list(self, query: dict[str, str]) -> None:
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        shown, folders = [], set()
        for key in sorted(k for k in list(self.server.objects) if k.startswith(prefix)):
            head, found, _ = key[len(prefix) :].partition(delimiter) if delimiter else ("", "", "")
            if found:
                folders.add(prefix + head + delimiter)
                continue
            when, data = self.server.objects[key]
            shown.append(
                f"<Contents><Key>{escape(key)}</Key><LastModified>{when:%Y-%m-%dT%H:%M:%S.000Z}</LastModified>"
                f"<Size>{len(data)}</Size></Contents>"
            )
        shown += [f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>" for name in sorted(folders)]
        count = f"<KeyCount>{len(shown)}</KeyCount><IsTruncated>false</IsTruncated>"
        self._answer(200, f"<ListBucketResult><Name>bucket</Name>{count}{''.join(shown)}</ListBucketResult>".encode())

    def do_PUT(self) -> None:
        if (asked := self._asked()) is None:
            return
        key, query = asked
        if "uploadId" in query:
            self.server.parts[query["uploadId"]][int(query["partNumber"])] = self.body
        else:
            self.server.objects[key] = datetime.now(UTC), self.body
        self._answer(200, ETag='"x"')

    def do_POST(self) -> None:
        if (asked := self._asked()) is None:
            return
        key, query = asked
        if "uploads" in query:
            upload = uuid.uuid4().hex
            self.server.parts[upload] = {}
            body = f"<Key>{escape(key)}</Key><UploadId>{upload}</UploadId>"
            return self._answer(200, f"<InitiateMultipartUploadResult>{body}</InitiateMultipartUploadResult>".encode())
        if "uploadId" in query:
            parts = self.server.parts.pop(query["uploadId"])
            self.server.objects[key] = datetime.now(UTC), b"".join(parts[number] for number in sorted(parts))
            return self._answer(200, b"<CompleteMultipartUploadResult/>")
        for name in re.findall(r"<Key>(.*?)</Key>", self.body.decode()):
            self.server.objects.pop(name, None)
        self._answer(200, b"<DeleteResult/>")

    def do_DELETE(self) -> None:
        if (asked := self._asked()) is not None:
            self.server.objects.pop(asked[0], None)
            self._answer(204)


@contextlib.contextmanager
def bucket() -> Iterator[Bucket]:
    """A bucket that answers inside."""
    server = Bucket()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
