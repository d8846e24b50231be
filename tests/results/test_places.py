"""Places: joined as URIs are, opened where their user meant, and shown without what must stay secret."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evae.errors import UserError
from evae.results.places import check_name, join, opened, redacted, shown

NAMES = ["one", "a#b", "a?b", "50%", "a%20b", "übung", "grid[a]", "~", "x&y=z", "a+b", "a:b", "a@b", "日本"]
S3 = "s3://k:s@bucket/studies?region=us-east-1&scheme=http&endpoint_override=127.0.0.1:9"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("place", "root"),
    [
        (S3, "bucket/studies"),
        ("s3://bucket?region=us-east-1", "bucket"),
        ("s3://bucket/?region=us-east-1", "bucket"),
        ("s3://bucket/a%23b/ü x//50%/#1/?region=us-east-1", "bucket/a#b/ü x/50%/#1"),
        ("gs://anonymous@bucket/ü/?scheme=http&endpoint_override=127.0.0.1:9", "bucket/ü"),
        ("abfs://container@account.dfs.core.windows.net/a#b/", "container/a#b"),
        ("file:///data/a#b?c%20d", "/data/a#b?c d"),
        ("file://localhost/data/", "/data"),
        ("FILE:///data", "/data"),
        ("mock:///", ""),
        ("mock:///ü/50%", "ü/50%"),
        ("/data/a#b?c%20d/", "/data/a#b?c%20d"),
        ("/", ""),
        ("studies", f"{os.getcwd()}/studies"),
        ("./~/studies//", f"{os.getcwd()}/~/studies"),
        ("~/studies", os.path.expanduser("~/studies")),
        ("~", os.path.expanduser("~")),
    ],
)
def test_a_study_lies_below_its_place_whatever_they_are_called(place, root, name):
    assert opened(join(place, name))[1] == (f"{root}/{name}" if place != "mock:///" else name)


def test_what_follows_the_path_of_a_uri_stays_there():
    filesystem, root = opened(join(S3, "one"))
    assert root == "bucket/studies/one" and filesystem.region == "us-east-1"
    assert join(S3, "one").endswith("/studies/one?" + S3.partition("?")[2])


@given(st.text(min_size=1, max_size=8), st.sampled_from(["mock:///a b", "/a b", "file:///a b"]))
def test_every_name_that_is_allowed_is_a_folder_of_its_own(name, place):
    try:
        check_name(name, "study")
    except UserError:
        return
    assert opened(join(place, name))[1] == f"{opened(place)[1]}/{name}"


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("", "is empty"),
        (" ", "is empty"),
        (" results", "begins or ends with a blank"),
        ("results\r", "begins or ends with a blank"),
        ("a\x00b", "is not text"),
        ("a\x1bb", "is not text"),
        ("caf\udce9", "is not text"),
        ("~nobody-of-that-name/x", r"write \./~nobody"),
        ("s3:/bucket/x", "write s3://"),
        ("file:/tmp/x", "write file://"),
        ("s3://", "names no bucket"),
        ("s3:///x", "names no bucket"),
        ("gs://", "names no bucket"),
        ("s3://localhost:9000/bucket", "endpoint_override=HOST:PORT"),
        ("s3://bucket/../x", r"has a \. or \.\."),
        ("s3://bucket/a/%2e%2e/x", r"has a \. or \.\."),
        ("s3://bucket/what?now", "%3F"),
        ("file://tmp/x", "three slashes"),
        ("file://~/x", "three slashes"),
        ("file://", "three slashes"),
        ("s3://KEY:se/cret@bucket/x", "%2F"),
        ("s4://bucket/x", r"s3://bucket/path"),
        ("results://x", r"s3://bucket/path"),
    ],
    ids=repr,
)
def test_a_place_that_nobody_means_is_refused_with_the_remedy(place, said):
    with pytest.raises(UserError, match=said):
        opened(place)


def test_without_a_home_its_tilde_is_refused(monkeypatch):
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    with pytest.raises(UserError, match="set HOME"):
        opened("~/studies")


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".hidden", "a/b", "a\\b", "a b", "a\tb", "a\n", "a\x7f", "a\u00a0b", "a\udcff", "x" * 201]
)
def test_a_name_that_is_no_folder_everywhere_is_refused(name):
    with pytest.raises(UserError, match="a study's name is the name of a folder") as caught:
        check_name(name, "study")
    assert str(caught.value).isprintable()


SECRETS = [
    ("s3://AKIAKEY:s3cr3t@bucket/x", "s3://***@bucket/x"),
    ("s3://AKIAKEY:s3cr3t@bucket/x?region=eu&session_token=s3cr3t", "s3://***@bucket/x?region=eu&session_token=***"),
    ("s3://AKIAKEY:s3/cr3t+x=@bucket/x?access_key=s3cr3t", "s3://***@bucket/x?access_key=***"),
    ("s3://AKIAKEY:s3?cr3t@bucket", "s3://***@bucket"),
    ("s3://AKIAKEY:12/s3cr3t@bucket/x", "s3://***@bucket/x"),
    ("s3://AKIAKEY:s3@cr3t@bucket/x", "s3://***@bucket/x"),
    ("s3://AKIAKEY:s@s3/cr3t@bucket/x", "s3://***@bucket/x"),
    ("s3://AKIAKEY:s3cr3t/bucket", "s3://***"),
    ("S3://AKIAKEY:s3cr3t@bucket", "s3://***@bucket"),
    ("s4://AKIAKEY:s3cr3t@bucket", "s4://***@bucket"),
    ("gs://bucket/x?access_token=s3cr3t&project_id=p", "gs://bucket/x?access_token=***&project_id=p"),
    ("abfs://:s3cr3t@account/x", "abfs://***@account/x"),
    ("abfs://box@account/x?sv=1&sig=s3cr3t", "abfs://box@account/x?sv=***&sig=***"),
    ("abfss://box:s3cr3t@account/x?client_secret=s3cr3t", "abfss://box:***@account/x?client_secret=***"),
    ("hdfs://me:s3cr3t@server:9000/x@2?token=s3cr3t", "hdfs://***@server:9000/x@2?token=***"),
    ("s3://b/x?endpoint_override=http://u:s3cr3t@h:9&s3cr3t", "s3://b/x?endpoint_override=***@h:9&***"),
    ("s3://b/x?endpoint_override=http%3A//u:s3cr3t%40h", "s3://b/x?endpoint_override=***@h"),
]


@pytest.mark.parametrize(("place", "expected"), SECRETS, ids=lambda text: text[:25])
def test_keys_and_tokens_are_not_shown(place, expected):
    assert shown(place) == redacted(place) == expected
    assert shown(f"--results={place}") == f"--results={expected}"
    assert (
        redacted(f"it is not '{place}', and not '{place}': mend it")
        == f"it is not '{expected}', and not '{expected}': mend it"
    )
    assert shown(expected) == expected


@pytest.mark.parametrize("place", ["/a:b@c/d", "folder:~/x", "s3://bucket/path@v2?region=eu", "file:///a:b@c?d", "~/x"])
def test_what_is_no_secret_is_shown_as_it_is(place):
    assert shown(place) == redacted(place) == place


@pytest.mark.parametrize("place", [place for place, _ in SECRETS])
def test_what_cannot_be_opened_is_said_without_its_secrets(place):
    # A parameter that pyarrow does not know, so that none of these is looked for on the web.
    place += "&what=this" if "?" in place else "?what=this"
    with pytest.raises(UserError) as caught:
        opened(place)
    assert not any(part in str(caught.value) for part in ("s3cr3t", "cr3t", "AKIAKEY"))


def test_a_folder_is_made_where_its_name_says(tmp_path):
    for name in NAMES:
        filesystem, root = opened(join(f"file://{tmp_path}", name))
        filesystem.create_dir(root)
    assert sorted(path.name for path in Path(tmp_path).iterdir()) == sorted(NAMES)
