"""Users without a home folder or a name, as containers have them."""

import getpass
import os
import pwd

import pytest

from analysis import files
from evae import data, plugins
from evae.data.base import DataRecipe
from evae.errors import UserError
from evae.home import NOWHERE, expanded, settle
from evae.results.places import opened

NAMES = ("HOME", "LOGNAME", "USER", "LNAME", "USERNAME")


@pytest.fixture
def unnamed(monkeypatch):
    """The user of this process has no entry in /etc/passwd, and the environment says nothing of it."""

    def getpwuid(number: int) -> object:
        raise KeyError(f"getpwuid(): uid not found: {number}")

    monkeypatch.setattr(pwd, "getpwuid", getpwuid)
    for name in NAMES:
        monkeypatch.setenv(name, "")  # so that what is set below is undone
        monkeypatch.delenv(name)


def test_who_has_neither_home_nor_name_gets_both(unnamed):
    settle()
    assert os.path.expanduser("~") == NOWHERE and not os.path.exists(NOWHERE)
    assert getpass.getuser() == f"uid-{os.getuid()}"


def test_a_place_in_a_home_that_is_nowhere_is_refused(unnamed):
    settle()
    for open_it in (opened, expanded):
        with pytest.raises(UserError, match="no home folder is known for '~/studies': set HOME"):
            open_it("~/studies")


@pytest.mark.parametrize("home", ["/proc", "/"])
def test_a_home_and_a_name_that_are_known_stay(monkeypatch, home):
    monkeypatch.setenv("HOME", home)
    monkeypatch.setenv("LOGNAME", "me")
    settle()
    assert os.environ["HOME"] == home and getpass.getuser() == "me"


def test_an_empty_home_is_not_the_root_of_the_file_system(monkeypatch):
    monkeypatch.setenv("HOME", "")
    settle()
    assert os.path.expanduser("~") == pwd.getpwuid(os.getuid()).pw_dir


def test_a_tilde_is_a_home_folder_or_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert (
        expanded("~/a") == f"{tmp_path}/a" and expanded(tmp_path / "~") == f"{tmp_path}/~" and expanded("./~") == "./~"
    )
    with pytest.raises(UserError, match=r"write \./~nobody-of-that-name/x"):
        expanded("~nobody-of-that-name/x")


@pytest.mark.parametrize("option", ["--data", "--data-root", "--plugin"])
def test_no_command_makes_a_folder_called_tilde(option, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    where = "folder:~nobody-of-that-name" if option == "--data" else "~nobody-of-that-name/x.py"
    with pytest.raises(UserError, match="no home folder is known"):
        if option == "--plugin":
            plugins.find(where)
        elif option == "--data":
            data.load(DataRecipe(source=where))
        else:
            data.load(DataRecipe(source="mnist-5k"), where)
    assert not list(tmp_path.iterdir())


def test_a_page_is_not_written_into_a_folder_called_tilde(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="no home folder is known"):
        files.write("~nobody-of-that-name/x.html", "", "")
    assert not list(tmp_path.iterdir())
