"""Users without a home folder or a name, as containers have them."""

import getpass
import os
import pwd

import pytest

from evae.home import NOWHERE, settle
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
    with pytest.raises(Exception, match="no home folder is known for '~/studies': set HOME"):
        opened("~/studies")


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
