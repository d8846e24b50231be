"""Warnings that are ignored in several threads at once."""

import warnings

import pytest

from evae.quiet import ignored


def test_one_that_is_ignored_is_not_shown_and_others_are():
    with ignored(UserWarning, "of no use"):
        warnings.warn("of no use to anybody", UserWarning, stacklevel=1)
        with pytest.raises(UserWarning, match="else"):
            warnings.warn("something else", UserWarning, stacklevel=1)
        with pytest.raises(RuntimeWarning):
            warnings.warn("of no use", RuntimeWarning, stacklevel=1)
    with pytest.raises(UserWarning):
        warnings.warn("of no use to anybody", UserWarning, stacklevel=1)


@pytest.mark.parametrize("order", ["first", "last"])
def test_who_leaves_before_another_leaves_it_quiet_and_the_last_brings_back_what_was(order):
    """As in threads that take turns."""
    before = list(warnings.filters)
    one, other = ignored(UserWarning), ignored(RuntimeWarning)
    one.__enter__(), other.__enter__()
    gone, there, category = (one, other, RuntimeWarning) if order == "first" else (other, one, UserWarning)
    gone.__exit__(None, None, None)
    warnings.warn("said in a thread", category, stacklevel=1)
    there.__exit__(None, None, None)
    assert warnings.filters == before
