"""Pages and figures are written whole or not at all, wherever they are to lie."""

import json
import os
import resource
import stat
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from synthetic import write_study

from analysis import compare, export, files
from analysis.report import write_report
from analysis.study.load import StudyData, load
from analysis.views import drawing
from evae.errors import UserError

REMEDY = "Choose another place."


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No file may grow beyond 10 kB, which ends a write as a full disk does."""
    # What is imported meanwhile would be kept cut off, and nobody could import it again.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study whose pages are drawn soon, and still are of megabytes."""
    folder = tmp_path_factory.mktemp("small")
    write_study(folder, configurations=4, seeds=1, with_pictures=1)
    return folder


def test_a_full_disk_leaves_the_earlier_report(small: Path, tmp_path: Path, full_disk: None) -> None:
    path = tmp_path / "report.html"
    path.write_text("the earlier report")
    with pytest.raises(UserError, match="--output"):
        write_report(small, path)
    assert path.read_text() == "the earlier report" and os.listdir(tmp_path) == ["report.html"]


def test_a_full_disk_leaves_the_earlier_comparison(small: Path, tmp_path: Path, full_disk: None) -> None:
    path = tmp_path / "compare.html"
    path.write_text("the earlier page")
    with pytest.raises(UserError, match="--output"):
        compare.main([str(small), str(small)], output=path)
    assert path.read_text() == "the earlier page"


def test_a_full_disk_leaves_the_earlier_figures(
    study: StudyData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full_disk: None
) -> None:
    (tmp_path / "parallel.csv").write_text("the earlier figure")
    monkeypatch.setattr(export, "BROWSERS", ())
    with pytest.raises(UserError, match="--export"):
        export.export(study, tmp_path)
    assert (tmp_path / "parallel.csv").read_text() == "the earlier figure"
    assert not list(tmp_path.glob("*.part"))


def test_letters_that_utf8_cannot_hold_become_escapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path whose bytes are no text comes as surrogates, which JSON in Parquet keeps."""
    store = write_study(tmp_path / "study", configurations=4, seeds=1)
    name = os.fsdecode(b"caf\xe9")
    for row in store.read("trials").to_pylist():
        row |= {"params": json.dumps(json.loads(row["params"]) | {name: row["number"] + 0.5, "latent": name})}
        row |= {"recipe": json.dumps(json.loads(row["recipe"]) | {"data": name})}
        store.write("trials", row["trial"], [row])
    monkeypatch.setattr(export, "BROWSERS", ())
    written = export.export(load(store.location), tmp_path / "figures")
    assert all(path.read_text("utf-8") for path in written)
    text = write_report(store.location).read_text(encoding="utf-8")
    # What is shown has the escape; the recipe, which is copied as a command, the letter itself.
    data = json.loads(text[text.index('id="data">') + 10 :].partition("</script>")[0])
    assert data["configurations"][0]["params"][-1][0] == r"caf\udce9"
    assert data["recipe"]["data"] == name


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert files.write("~/page.html", "text", REMEDY) == tmp_path / "page.html"
    assert (tmp_path / "page.html").read_text() == "text"


def test_missing_folders_are_made(small: Path, tmp_path: Path) -> None:
    assert write_report(small, tmp_path / "new" / "folder" / "report.html").exists()


def test_a_link_goes_on_pointing_where_it_does(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "report.html").symlink_to(tmp_path / "site" / "index.html")
    for text in ("first", "second"):
        files.write(tmp_path / "report.html", text, REMEDY)
        assert (tmp_path / "site" / "index.html").read_text() == text
    assert (tmp_path / "report.html").is_symlink()
    assert sorted(os.listdir(tmp_path / "site")) == ["index.html"]


def test_permissions_are_those_of_the_earlier_file_or_of_a_new_one(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    files.write(tmp_path / "new", "text", REMEDY)
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "usual").stat().st_mode
    (tmp_path / "usual").chmod(0o640)
    files.write(tmp_path / "usual", b"text", REMEDY)
    assert stat.S_IMODE((tmp_path / "usual").stat().st_mode) == 0o640


def test_a_name_of_full_length_has_room(tmp_path: Path) -> None:
    files.write(tmp_path / ("n" * 250 + ".html"), "text", REMEDY)
    with pytest.raises(UserError, match=f"too long. {REMEDY}"):
        files.write(tmp_path / ("n" * 256), "text", REMEDY)


@pytest.mark.parametrize("place", ["folder", "file/report.html"])
def test_a_place_that_is_none_names_the_remedy(tmp_path: Path, place: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=f"cannot write .*{place}.* {REMEDY}"):
        files.write(tmp_path / place, "text", REMEDY)
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_place_without_permission_names_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "kept.html").write_text("kept")
    (tmp_path / "kept.html").chmod(0o400)
    with pytest.raises(UserError, match=f"write-protected. {REMEDY}"):
        files.write(tmp_path / "kept.html", "text", REMEDY)
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match=f"ermission denied. {REMEDY}"):
        files.write(tmp_path / "new.html", "text", REMEDY)
    tmp_path.chmod(0o700)
    assert (tmp_path / "kept.html").read_text() == "kept"


def test_a_page_can_go_down_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as reader:
        read = reader.submit(pipe.read_text)
        files.write(pipe, "the page", REMEDY)
        assert read.result() == "the page"
    assert pipe.is_fifo()


def test_names_of_parameters_name_no_other_folder(study: StudyData, tmp_path: Path) -> None:
    chart = drawing.Chart("slice-../../evil/x-gen", "", drawing.figure("x", "y"), "")
    found = export.named([chart, replace(chart, key="slice-..?..?evil?x-gen"), replace(chart, key="n" * 500)])
    assert list(found)[:2] == ["slice-.._.._evil_x-gen", "slice-.._.._evil_x-gen-1"]
    assert len(list(found)[2]) == 200
