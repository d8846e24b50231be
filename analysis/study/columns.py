"""One kind of value a column, whatever each file of a store has there: what can be read is kept, all else is missing.

A column that is a number, a time or a list in one file and text in another comes from the store as text altogether.
"""

import json
import math
from collections.abc import Callable
from datetime import date

import numpy as np
import pandas as pd


def texts(values: pd.Series) -> pd.Series:
    """str or None."""

    def read(value: object) -> str | None:
        if isinstance(value, bytes):
            return value.decode(errors="backslashreplace")
        return value if isinstance(value, str) else None if _is_missing(value) else str(value)

    return each(values, read)


def numbers(values: pd.Series) -> pd.Series:
    """float; NaN for what is no finite number."""
    if pd.api.types.is_datetime64_any_dtype(values) or pd.api.types.is_timedelta64_dtype(values):
        return pd.Series(np.nan, values.index)
    found = pd.to_numeric(_unquoted(values), errors="coerce").astype(float)
    return found.where(np.isfinite(found))


def times(values: pd.Series) -> pd.Series:
    """Times in UTC, from times or from text in any form of ISO 8601; what has no time zone is taken for UTC."""
    if not pd.api.types.is_datetime64_any_dtype(values):
        # A number could be seconds or nanoseconds since 1970.
        values = each(_unquoted(values), lambda v: v if isinstance(v, str | date) else None)
        values = values.map(lambda v: v.removesuffix("UTC").rstrip() if isinstance(v, str) else v)
    found = pd.to_datetime(values, utc=True, errors="coerce", format="ISO8601")
    return found.astype("datetime64[us, UTC]")


def lists(values: pd.Series) -> pd.Series:
    """Lists of float, NaN for each entry that is no number; None for what is no list."""

    def read(value: object) -> list[float] | None:
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError:
                return None
        if not isinstance(value, list | tuple | np.ndarray):
            return None
        return [float(v) if isinstance(v, int | float | np.number) else math.nan for v in value]

    return each(values, read)


def flags(values: pd.Series) -> pd.Series:
    """True, False or None."""
    known = {"true": True, "false": False}
    return each(values, lambda v: known.get(str(v).lower()))


def _unquoted(values: pd.Series) -> pd.Series:
    """Text without the quotation marks that values other than text have when they are made text."""
    if pd.api.types.is_numeric_dtype(values):
        return values
    return each(values, lambda v: v.strip().strip('"') if isinstance(v, str) else v)


def each(values: pd.Series, read: Callable[[object], object]) -> pd.Series:
    """What `read` makes of each value; None stays None, which pandas would take for NaN."""
    return pd.Series([read(value) for value in values], values.index, dtype=object)


def _is_missing(value: object) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value))
