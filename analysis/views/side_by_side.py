"""The configurations of a study side by side, in a Markdown table: what a grid ends with."""

from collections.abc import Sequence

import pandas as pd

from analysis.study.load import StudyData
from analysis.study.naming import number
from analysis.study.tables import shown


def as_markdown(study: StudyData, metrics: Sequence[str]) -> str:
    """A row for each configuration, in order of suggestion: its name, how many of its seeds finished, and the means of
    these metrics over them on the test split (over the fresh ones where it has some), with standard deviations from two
    seeds on.

    `gen_fd`, `rec_fd` and the like stand for the Fréchet distances on the study's features. Beside a rate it says what
    the rate is. Where no seed finished, the reason of the first one is given.
    """
    columns = {name: _column(study, name) for name in metrics}
    rows = [["configuration", "seeds", *columns.values()]]
    counted = shown(study)
    for place, trials in study.trials.groupby("number"):
        first, done = trials.iloc[0], counted[(counted["number"] == place) & (counted["state"] == "finished")]
        name, seeds = first["label"] or f"#{first['number']:.0f}", f"{len(done)} of {len(trials)}"
        if len(done):
            rows.append([name, seeds, *(_cell(done, column) for column in columns.values())])
        else:
            rows.append([name, seeds, f"{first['state']}: {first['reason']}", *[""] * (len(columns) - 1)])
    rows.insert(1, ["---"] * len(rows[0]))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


def _column(study: StudyData, name: str) -> str:
    """The column of an objective's short name, or the name itself."""
    side, _, short = name.rpartition("_")
    if short != "fd":
        return name
    found = [c for c in study.trials if c == f"{side}_fid" or c.startswith(f"{side}_fd_")]
    return found[0] if found else name


def _cell(done: pd.DataFrame, column: str) -> str:
    values = done[column].dropna() if column in done else pd.Series(dtype=float)
    if not len(values):
        return "-"
    text = number(float(values.mean()), 4)
    if len(values) > 1:
        text += f" ({number(float(values.std()), 2)})"
    return f"{text}, {done['rate_is'].iloc[0]}" if column == "rate_nats" else text
