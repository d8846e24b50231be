"""Errors caused by what a user asked for, shown as one sentence with its remedy and never as a stack trace; and the
outcome of a trial, or of a part of its evaluation, that cannot go on."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Something the user gave cannot be used; the text says what, and what to do instead."""

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows of it."""
        return [f"error: {self}"]


def unknown(kind: str, name: object, known: Iterable[str]) -> UserError:
    """The error for a name that is not known: suggests the nearest known one and lists them all.

    `kind` is the noun shown to the user ("kernel", "recipe key"). Raise what this returns.
    """
    known = sorted(known)
    nearest = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    return UserError(f"unknown {kind} {str(name)!r}.{hint} Known: {', '.join(known)}.")


class Diverged(Exception):
    """A loss term stopped being a finite number; `epoch`, `step` (counted from 1; None after an epoch) and `term` say
    when and which."""

    def __init__(self, epoch: int, term: str, value: float, step: int | None = None):
        super().__init__(epoch, term, value, step)
        self.epoch, self.term, self.value, self.step = epoch, term, value, step

    def __str__(self) -> str:
        at_step = "" if self.step is None else f", step {self.step}"
        return f"{self.term} became {self.value} in epoch {self.epoch}{at_step}"


class NotFitted(Exception):
    """A density cannot be fitted to these codes; the text says why. The trial goes on without what it would have
    measured."""
