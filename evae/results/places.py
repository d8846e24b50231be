"""Where results lie: a folder, or a URI of a file system that pyarrow knows; joined, opened, and shown without secrets.

A URI is taken as whoever typed it means it: percent escapes are letters, and what has no business in a URI as it is (a
space, "#", a lone "%", letters beyond ASCII) is part of the name. Only "?" has its meaning: what follows are parameters
of the file system, as in s3://bucket/studies?endpoint_override=localhost:9000&scheme=http. `file:` has none.
"""

import os
import re
import unicodedata
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from evae.errors import UserError
from evae.home import expanded

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

HIDDEN = "***"
LONGEST_NAME = 200
"""In bytes; file systems take 255, and a suffix comes after it."""
KEPT = (
    *("region", "scheme", "endpoint_override", "allow_bucket_creation", "allow_bucket_deletion", "tls_ca_file_path"),
    *("check_directory_existence_before_creation", "background_writes", "retry_limit_seconds", "project_id"),
    *("blob_storage_authority", "blob_storage_scheme", "dfs_storage_authority", "dfs_storage_scheme", "enable_tls"),
    *("replication", "default_replication", "buffer_size", "default_block_size"),
)
"""Parameters of a URI that are shown. Of all others one may be a token."""
BUCKETS = ("s3", "gs", "gcs")
"""The schemes whose URIs begin with a bucket."""
SERVERS = ("hdfs", "viewfs")
"""The schemes whose URIs begin with a server."""
SCHEMES = (*BUCKETS, *SERVERS, "abfs", "abfss", "file")
EXAMPLES = "Give a folder, or a URI such as s3://bucket/path or gs://bucket/path."

_URI = re.compile(r"([a-z][a-z0-9+.-]*)://(.*)", re.IGNORECASE | re.DOTALL)
_IN_TEXT = re.compile(r"""[a-z][a-z0-9+.-]*://\S*[^\s'",.:;)]""", re.IGNORECASE)


@dataclass(frozen=True)
class _Uri:
    """The parts of a URI as they were typed; `account` and `query` are None where it has none."""

    scheme: str
    account: str | None
    host: str
    path: str
    query: str | None

    @classmethod
    def of(cls, text: str) -> "_Uri | None":
        """The parts of this text, or None where it is a folder's path."""
        found = _URI.fullmatch(text)
        if found is None:
            return None
        scheme, rest = found[1].lower(), found[2]
        query: str | None = None
        if scheme != "file" and "?" in rest:
            rest, _, query = rest.partition("?")
        authority, slash, path = rest.partition("/")
        account, at, host = authority.rpartition("@")
        return cls(scheme, account if at else None, host, slash + path, query)

    @property
    def has_stray_secret(self) -> bool:
        """Whether an account's key and secret go on beyond where an account ends in a URI: one of them has a / or ?."""
        if self.scheme in ("file", *SERVERS):
            return False
        beyond = "@" in self.path + (self.query or "")
        if self.account is not None:
            return ":" in self.account and beyond
        return ":" in self.host and (beyond or re.search(r":\d+$", self.host) is None)

    def __str__(self) -> str:
        account = "" if self.account is None else f"{self.account}@"
        return f"{self.scheme}://{account}{self.host}{self.path}" + ("" if self.query is None else f"?{self.query}")

    def hidden(self) -> str:
        """As it may be shown."""
        if self.scheme == "file":
            return str(self)
        if self.has_stray_secret:
            _, at, rest = str(self).rpartition("@")
            return f"{self.scheme}://{HIDDEN}" + (
                f"@{_Uri.of(f'{self.scheme}://{rest}').hidden()[len(self.scheme) + 3 :]}" if at else ""
            )
        account, query = self.account, self.query
        if account is not None:
            # What Azure has before the @ is a container's name.
            name, colon, _ = account.partition(":")
            shown = name if self.scheme.startswith("abfs") else ""
            account = shown + (f":{HIDDEN}" if colon else "") if shown else HIDDEN
        if query is not None:
            query = "&".join(map(_hidden_parameter, query.split("&")))
        return str(replace(self, account=account, query=query))


def join(place: str, name: str) -> str:
    """The place of something called `name` below `place`."""
    uri = _Uri.of(place)
    if uri is None:
        return f"{place.rstrip('/')}/{name}"
    return str(replace(uri, path=f"{uri.path.rstrip('/')}/{quote(name, safe='')}"))


def opened(place: str) -> tuple["FileSystem", str]:
    """The file system of a place, and the place's path in it. Raises UserError where it is none."""
    import pyarrow as pa  # which the options of a command line, that are made of places too, need not wait for
    from pyarrow import fs

    check(place)
    uri = _Uri.of(place)
    try:
        if uri is None:
            return fs.LocalFileSystem(), os.path.abspath(expanded(place))
        if uri.scheme == "file":
            return fs.LocalFileSystem(), os.path.abspath(unquote(uri.path))
        return fs.FileSystem.from_uri(_escaped(uri))
    except (pa.ArrowException, ValueError, OSError) as error:
        why = redacted(str(error)).rstrip(".")
        raise UserError(f"cannot open the results at {shown(place)!r}: {why}. {EXAMPLES}") from None


def check(place: str) -> None:
    """Raise UserError for what is no place, or one that nobody means."""
    said = shown(place)
    if not place or place != place.strip() or not _is_text(place):
        raise UserError(
            f"the place of the results is empty, begins or ends with a blank, or is not text: {said!r}. {EXAMPLES}"
        )
    uri = _Uri.of(place)
    if uri is not None:
        _check_uri(uri, said)
    elif found := re.match(rf"({'|'.join(SCHEMES)}):", place):
        raise UserError(f"{said!r} is neither a folder nor a URI: write {found[1]}://..., or ./{said} for a folder.")
    else:
        expanded(place)


def _check_uri(uri: _Uri, said: str) -> None:
    if uri.scheme == "file":
        if uri.host not in ("", "localhost") or uri.account is not None or not uri.path:
            raise UserError(
                f"{said!r} is no URI of a folder: write file:///path with three slashes, or its path alone."
            )
        return
    if uri.has_stray_secret:
        raise UserError(
            f"{said!r} has a key or secret that is not escaped: write / as %2F, ? as %3F and @ as %40 in it, or leave "
            "it out and set it in the environment (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)."
        )
    if uri.scheme in BUCKETS and (not uri.host or ":" in uri.host):
        raise UserError(
            f"{said!r} names no bucket: {uri.scheme}://bucket/path. A server of one's own is given as "
            "?endpoint_override=HOST:PORT at the end."
        )
    if {".", ".."} & set(unquote(uri.path).split("/")):
        raise UserError(f"{said!r} has a . or .. in its path, which only folders know. {EXAMPLES}")
    if uri.query and any("=" not in part for part in uri.query.split("&")):
        raise UserError(f"what follows the ? of {said!r} is no name=value; write %3F for a question mark in a name.")


def check_name(name: str, kind: str) -> None:
    """Raise UserError for what cannot be the name of a folder everywhere; `kind` is the noun shown to the user."""
    unfit = any(c in "/\\" or c.isspace() for c in name) or not _is_text(name)
    if not name or name.startswith(".") or unfit or len(name.encode()) > LONGEST_NAME:
        raise UserError(
            f"a {kind}'s name is the name of a folder: text of at most {LONGEST_NAME} bytes without slashes, spaces or "
            f"control characters, and without a dot at its beginning; got {name!r}"
        )


def shown(place: str) -> str:
    """A place, or a command's argument with one, as anybody may see it: keys, secrets and tokens hidden."""
    return _URI.sub(lambda found: _Uri.of(found[0]).hidden(), place)


def redacted(text: str) -> str:
    """Running text with the secrets of its URIs hidden."""
    return _IN_TEXT.sub(lambda found: _Uri.of(found[0]).hidden(), text)


def _hidden_parameter(part: str) -> str:
    name, equals, value = part.partition("=")
    if unquote(name) not in KEPT:
        return f"{name}={HIDDEN}" if equals else HIDDEN
    _, at, server = unquote(value).rpartition("@")
    return f"{name}={HIDDEN}@{server}" if at else part


def _escaped(uri: _Uri) -> str:
    """The URI as pyarrow's parser takes it, without the repeated slashes that object stores take for names."""
    path = "".join(f"/{_quoted(part)}" for part in uri.path.split("/") if part)
    account = None if uri.account is None else _quoted(uri.account, ":")
    query = None if uri.query is None else _quoted(uri.query, "=&/:")
    return str(replace(uri, account=account, host=_quoted(uri.host, ":[]"), path=path or "/", query=query))


def _quoted(text: str, kept: str = "") -> str:
    """Percent-encoded, except for what is so already."""
    return re.sub(
        r"%[0-9a-f]{2}|(.)",
        lambda found: quote(found[1], safe=kept + "!$'()*+;,") if found[1] else found[0],
        text,
        flags=re.IGNORECASE | re.DOTALL,
    )


def _is_text(text: str) -> bool:
    """Whether it is Unicode, as paths that came as other bytes are not, and free of control characters."""
    return not any(unicodedata.category(c) in ("Cc", "Cs") for c in text)
