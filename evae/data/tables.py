"""Tables of numbers from files .npy and .csv, read so that nothing in them is run, and nothing is guessed."""

from __future__ import annotations

import csv

import numpy as np

from evae.data.names import shown
from evae.errors import UserError
from evae.home import expanded

SUFFIXES = (".npy", ".csv")
SEPARATORS = (",", ";", "\t")


def read_table(path: str) -> tuple[np.ndarray, list[str]]:
    """(rows (n, d) of finite float32, notes on what was read). A list of n numbers is n rows of one.

    Raises UserError for a file that is missing or holds anything but such a table: it names the first place.
    """
    try:
        rows, notes = (_npy if path.lower().endswith(".npy") else _csv)(expanded(path), shown(path))
    except OSError as error:
        raise UserError(f"cannot read the points of {shown(path)}: {error.strerror or error}") from None
    if not len(rows):
        raise UserError(f"{shown(path)} has no points: give a row for each")
    with np.errstate(over="ignore"):
        rows = rows.astype(np.float32)
    if not (finite := np.isfinite(rows).all(1)).all():
        broken = np.flatnonzero(~finite)
        raise UserError(
            f"{len(broken):,} of the {len(rows):,} points of {shown(path)} hold a number that is missing or not "
            f"finite, the first is point {broken[0] + 1}: leave those points out, or fill them in"
        )
    return np.ascontiguousarray(rows), notes


def _npy(path: str, name: str) -> tuple[np.ndarray, list[str]]:
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError):
        raise UserError(
            f"{name} is no array of numbers as numpy.save writes it, or one of objects, which are never loaded"
        ) from None
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu" or array.ndim not in (1, 2):
        what = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else "several arrays"
        raise UserError(f"{name} holds {what}: points are an array of real numbers (n, d), or (n,)")
    return array[:, None] if array.ndim == 1 else array, []


def _csv(path: str, name: str) -> tuple[np.ndarray, list[str]]:
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            text = file.read()
        first = next((line for line in text.splitlines() if line.strip()), "")
        separator = next((each for each in SEPARATORS if each in first), ",")
        lines = [line for line in csv.reader(text.splitlines(), delimiter=separator, strict=True) if any(line)]
    except (UnicodeDecodeError, csv.Error):
        raise UserError(f"{name} is no CSV file in UTF-8: save its numbers as one, or with numpy.save") from None
    notes, named = [], bool(lines) and _numbers(lines[0]) is None and all(map(_is_name, lines[0]))
    if named:
        notes.append(f"the first row names the columns: {', '.join(map(shown, lines[0][:8]))}")
    rows = []
    for number, line in enumerate(lines[named:], 1 + named):
        if (row := _numbers(line)) is None:
            words = next(part for part in line if _numbers([part]) is None)
            raise UserError(
                f"row {number} of {name} has {shown(words)[:40]!r}, which is no number: leave such rows and columns "
                "out. The first row alone may be names."
            )
        if rows and len(row) != len(rows[0]):
            raise UserError(
                f"row {number} of {name} has {len(row)} numbers, and those before it {len(rows[0])}: all points need "
                "as many"
            )
        rows.append(row)
    return np.array(rows, dtype=np.float64), notes


def _numbers(line: list[str]) -> list[float] | None:
    """None where one is no number; an empty cell is a number that is missing."""
    try:
        return [float(part) if part.strip() else float("nan") for part in line]
    except ValueError:
        return None


def _is_name(part: str) -> bool:
    return not part.strip() or _numbers([part]) is None
