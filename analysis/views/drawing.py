"""Thin drawings of the tables, each a Plotly figure that also stands alone in a notebook.

A trace whose `meta` is "configuration" or "trial" names in `customdata` which one each of its points shows: what the
page links, filters and opens.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

from analysis.study import naming
from analysis.study.details import hovers
from analysis.study.naming import Objective
from analysis.study.tables import differ
from analysis.views import theme

HEIGHT = 420
DOTS = 2_000  # of one kind of configuration in a chart; beyond that every k-th is drawn, and the legend says so

UNCONFIRMED = "searched, not confirmed"
"""Configurations without fresh seeds in a study where others have them."""
CHOSE = "where the search saw it"
"""Where confirmed configurations were by the seeds that took part in choosing them."""


@dataclass(frozen=True)
class Chart:
    """A figure on the page: `minimum` is the width in pixels below which it scrolls instead of shrinking.

    `said` is what a screen reader says of it. Configurations stand at the values of the search's seeds where it is
    `searched`, else at those of their fresh ones if they have some. Of the charts of a section that have a `choice`,
    one is shown, which a switch chooses by these words.
    """

    key: str
    title: str
    figure: go.Figure
    said: str
    note: str = ""
    minimum: int = 0
    searched: bool = False
    choice: str = ""


def figure(x: str, y: str, height: int = HEIGHT, **layout: object) -> go.Figure:
    """An empty figure whose axes have titles."""
    return go.Figure(layout=dict(template=theme.LIGHT, height=height, xaxis_title_text=x, yaxis_title_text=y, **layout))


def scatter(drawn: go.Figure, table: pd.DataFrame, objectives: Sequence[Objective], columns: tuple[str, str]) -> None:
    """Configurations by kind: not confirmed where others are, dominated, dominated within noise, on the front, and each
    control by its name.

    `columns` are x and y; `table` is that of `tables.front`.
    """
    near, on = table["dominated_within_noise"], table["on_front"]
    grey = ~table["confirmed"] & table["confirmed"].any()
    control = table["label"].notna() & ~grey
    kinds = [
        (UNCONFIRMED, grey, dict(color=theme.GREY, symbol="circle-open", size=6)),
        ("dominated", ~control & ~on & ~near & ~grey, dict(color=theme.GREY, symbol="circle", size=7)),
        ("dominated within noise", ~control & near, dict(color=theme.SKY, symbol="circle-open", size=9)),
        ("front", ~control & on, dict(color=theme.BLUE, symbol="circle", size=11)),
    ]
    for i, label in enumerate(table.loc[control, "label"].unique()):
        chosen = control & (table["label"] == label)
        name = f"{label} (on front)" if on[chosen].any() else label
        colour = theme.COLOURS[1 + i % (len(theme.COLOURS) - 1)]
        symbol = theme.SYMBOLS[i % len(theme.SYMBOLS)]
        kinds.append((name, chosen, dict(color=colour, symbol=symbol, size=13)))
    for name, chosen, marker in kinds:
        rows = table[chosen]
        if len(rows) > DOTS:
            name, rows = f"{name} ({DOTS:,} of {len(rows):,} drawn)", rows.iloc[:: math.ceil(len(rows) / DOTS)]
        if len(rows):
            _points(drawn, rows, hovers(rows, objectives), name, columns, marker)


def _points(
    drawn: go.Figure, rows: pd.DataFrame, texts: list[str], name: str, columns: tuple[str, str], marker: dict
) -> None:
    """One kind of configuration; those that are dominated or not confirmed have their intervals in the hover text
    alone."""

    def error(column: str) -> dict[str, object] | None:
        if name.startswith(("dominated", UNCONFIRMED)) or f"{column}_half" not in rows:
            return None
        return dict(type="data", array=rows[f"{column}_half"], color=marker["color"], thickness=1.2, width=3)

    x, y = columns
    drawn.add_scatter(
        x=rows[x],
        y=rows[y],
        error_x=error(x),
        error_y=error(y),
        name=name,
        mode="markers",
        marker=marker | dict(line=dict(width=1.5, color=marker["color"])),
        text=texts,
        hovertemplate="%{text}<extra></extra>",
        customdata=list(rows["configuration"]),
        meta="configuration",
    )


def fit_range(drawn: go.Figure, side: str, values: pd.Series, marks: dict[str, float]) -> None:
    """Range from the means, not from their intervals, which may be many times wider; log over wide ranges.

    A mark that would stretch the range by more than a half is named at the frame's edge instead of drawn.
    """
    low, high = values.min(), values.max()
    log = low > 0 and high / low > 20
    place = math.log10 if log else float
    most = 1.6 * (place(high) - place(low)) if differ(values) else 0.0
    shown = {k: v for k, v in marks.items() if v > 0 or not log}
    near = {k: v for k, v in shown.items() if place(max(v, high)) - place(min(v, low)) <= most}
    low, high = min([low, *near.values()]), max([high, *near.values()])
    pad = 0.07 * (place(high) - place(low)) if differ([low, high]) else 0.1 * abs(place(high)) or 1.0
    kind = dict(type="log" if log else "linear", range=[place(low) - pad, place(high) + pad])
    drawn.update_layout({f"{side}axis": kind})
    other = "x" if side == "y" else "y"
    for name, value in marks.items():
        text = f"{name} {naming.number(value)}"
        within = {side: place(value) if name in near else 0.0, f"{side}ref": side}
        outside = {side: 0.0 if value < low else 1.0, f"{side}ref": "paper"}
        if name in near:
            ends = {f"{side}0": value, f"{side}1": value, f"{other}0": 0, f"{other}1": 1}
            line = dict(color=theme.GREEN, width=1.5, dash="dash")
            drawn.add_shape(type="line", **ends, **{f"{side}ref": side, f"{other}ref": "paper"}, line=line)
        else:
            text += " (outside the frame)"
        drawn.add_annotation(
            text=text,
            **(within if name in near else outside),
            **{other: 0.0 if side == "y" else 1.0, f"{other}ref": "paper"},
            showarrow=False,
            xanchor="left" if side == "y" or value < low else "right",
            yanchor="bottom" if side == "y" else "top",
            textangle=-90 if side == "x" else 0,
            font=dict(color=theme.GREEN, size=11),
        )
