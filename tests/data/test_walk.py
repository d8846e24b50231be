import os
from pathlib import Path

import pytest

from evae.data.names import listed, shown
from evae.data.walk import walk


def put(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_every_ending_that_pillow_opens_is_looked_at_and_the_others_are_counted(tmp_path):
    looked_at = [
        "a.png",
        "b.JPEG",
        "c.jfif",
        "d.pgm",
        "e.PPM",
        "f.jp2",
        "g.tga",
        "h.avif",
        "i.pcx",
        "j.mpo",
        "no-ending",
        "dot.",
    ]
    passed_over = ["x.txt", "y.txt", "z.heic", "film.mpg", "table.h5", "drawing.eps", "a.png~"]
    put(*(tmp_path / "deep" / name for name in looked_at + passed_over))
    found = walk(str(tmp_path))
    assert sorted(found.files) == sorted(f"deep/{name}" for name in looked_at)
    assert found.endings == {".txt": 2, ".heic": 1, ".mpg": 1, ".h5": 1, ".eps": 1, ".png~": 1}
    said = "7 files that are no pictures by their endings: 2 .txt, 1 .png~, 1 .eps, 1 .mpg, 1 .h5 and others"
    assert found.passed_over() == [said]


@pytest.mark.parametrize(
    "name", [".thumbnails", "@eaDir", "__MACOSX", "#recycle", "lost+found", "$RECYCLE.BIN", "Thumbs", "_thumbs", ".git"]
)
def test_nobodys_folders_are_left_out_and_named(tmp_path, name):
    put(tmp_path / "a" / "1.png", tmp_path / "a" / name / "b" / "1.png")
    found = walk(str(tmp_path))
    assert found.files == ["a/1.png"]
    assert found.hidden == [f"a/{name}/"]
    assert f"a/{name}/" in found.passed_over()[0]


def test_hidden_files_are_left_out_but_not_a_folder_that_is_asked_for(tmp_path):
    put(tmp_path / ".cache" / "@eaDir" / "1.png", tmp_path / ".cache" / "@eaDir" / "._1.png")
    found = walk(str(tmp_path / ".cache" / "@eaDir"))
    assert found.files == ["1.png"]
    assert found.hidden == ["._1.png"]


def test_links_are_followed_and_each_folder_is_listed_once(tmp_path):
    put(tmp_path / "set" / "a" / "1.png", tmp_path / "elsewhere" / "b" / "2.png", tmp_path / ".store" / "3.png")
    for link, target in {
        "set/a/again": "set",  # cycles
        "set/up": ".",
        "set/0": "set/a",  # sorts before the folder itself, which keeps its name
        "set/other": "elsewhere",
        "set/other-too": "elsewhere",
        "set/inner": "elsewhere/b",  # a part of what "other" shows: listed once
        "elsewhere/back": "elsewhere",
        "set/stored": ".store",
    }.items():
        (tmp_path / link).symlink_to(tmp_path / target, target_is_directory=True)
    (tmp_path / "set" / "file.png").symlink_to(tmp_path / "elsewhere" / "b" / "2.png")
    found = walk(str(tmp_path / "set"))
    assert sorted(found.files) == ["a/1.png", "file.png", "inner/2.png", "stored/3.png"]
    assert found.links == ["inner/", "other/", "stored/"]
    assert found.unfollowed == {
        "0/": "a link to the same folder as a/",
        "a/again/": "a link back to a folder above",
        "up/": "a link back to a folder above",
        "other-too/": "a link to the same folder as other/",
        "other/back/": "a link to the same folder as other/",
    }
    assert "0/ left out: a link to the same folder as a/" in found.passed_over()


def test_what_cannot_be_opened_is_named(tmp_path):
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    os.mkfifo(tmp_path / "pipe.png")
    found = walk(str(tmp_path))
    assert found.files == []
    assert found.left_out["gone.png"] == "a link to nothing"
    assert found.left_out["pipe.png"] == "not a file"
    assert "loop.png" in found.left_out


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("plain name.png", "plain name.png"),
        ("Grüße 図.png", "Grüße 図.png"),
        (os.fsdecode(b"caf\xe9.png"), r"caf\xe9.png"),
        ("two\nlines\x1b[31m", r"two\nlines\x1b[31m"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\ud800", r"\ud800"),
    ],
)
def test_every_name_can_be_shown(name, expected):
    assert shown(name) == expected
    assert shown(name).encode()


def test_long_lists_are_cut():
    assert listed(["a", "b\n"]) == r"a, b\n"
    assert listed(["a"] * 3 + ["b"] * 1200) == "a, a, a and 1,200 more"
