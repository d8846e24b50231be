"""Command lines: parsed by tyro, whose errors repeat what was given, and here without the keys and tokens of a URI."""

import contextlib
import functools
import io
import sys
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

import tyro

from evae.errors import UserError
from evae.results.places import shown

CALLED: ContextVar[str | None] = ContextVar("how the command was called", default=None)
"""What stands before the options, for the usage: by default the name of the file."""


def parse(what: Callable[..., Any], description: str | None = None, before: Sequence[str] = ()) -> Any:
    """What tyro makes of the command line for this dataclass or function, of which `before` are further arguments that
    it may override. Exits where that cannot be done, or after --help."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Letters of a name that the terminal's encoding lacks are shown as escapes.
        sys.stdout.reconfigure(errors="backslashreplace")
    given = [*before, *sys.argv[1:]]
    said = list(map(shown, given))
    if said == given:
        return tyro.cli(what, prog=CALLED.get(), description=description, args=given)
    try:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            return tyro.cli(what, prog=CALLED.get(), description=description, args=given)
    except SystemExit:
        # Once more, for what it has to say. What was wrong with them is so without the keys.
        tyro.cli(what, prog=CALLED.get(), description=description, args=said)
        raise


def run(main: Callable[..., None]) -> None:
    """Call a function with what the command line says; a UserError ends it with a sentence."""

    @functools.wraps(main)
    def later(*given: Any, **named: Any) -> Callable[[], None]:
        return lambda: main(*given, **named)

    try:
        parse(later)()
    except UserError as error:
        sys.exit(f"error: {error}")
