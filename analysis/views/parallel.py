"""Parallel coordinates: every ranked configuration as a line through its parameters and objectives.

Drawn with ordinary lines, which can be clicked, selected and printed; Plotly's own parallel coordinates cannot, and
need WebGL.
"""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from analysis.study import naming
from analysis.study.load import StudyData
from analysis.study.naming import Objective
from analysis.study.tables import differ
from analysis.views import theme
from analysis.views.drawing import Chart, hovers

LINES = 1_500  # drawn at most: the front, the controls, and of the others every k-th by rank
# From the best fifth to the worst, visible on white and on near-black alike.
SHADES = [theme.VERMILLION, theme.ORANGE, theme.SKY, theme.GREY, theme.GREY]
NAMES = ["best fifth", "second", "third", "fourth", "last fifth"]


@dataclass(frozen=True)
class Dimension:
    """An upright axis: `at` (n,) places in [0, 1], and its ticks as places and texts."""

    label: str
    at: np.ndarray
    ticks: list[float]
    texts: list[str]


def charts(study: StudyData, front: pd.DataFrame) -> list[Chart]:
    if not len(front):
        return []
    drawn = parallel_figure(front, study.objectives)
    count = len({c for trace in drawn.data for c in trace.customdata})
    note = "; ".join(f"{o.label}: {naming.unit(o.metric)}" for o in study.objectives if naming.unit(o.metric))
    if count < len(front):
        note += (
            f". {count:,} of {len(front):,} configurations are drawn: the front, the controls, others evenly by rank."
        )
    return [Chart("parallel", "", drawn, "Parameters and objectives of each configuration as a line.", note, 860, True)]


def parallel_figure(table: pd.DataFrame, objectives: Sequence[Objective]) -> go.Figure:
    """Lines are coloured by rank in the first objective; "none" stands below the values of a parameter that a
    configuration does not have. `table` is that of `tables.front`.
    """
    table = table.reset_index(drop=True)
    axes = dimensions(table, objectives)
    first = objectives[0].sign * table[objectives[0].metric]
    rank = first.rank(pct=True) if differ(first) else pd.Series(0.5, table.index)
    fifth = np.minimum(4, np.ceil(5 * rank).astype(int) - 1)
    drawn = go.Figure(layout=dict(template=theme.LIGHT, height=480, margin=dict(l=30, r=110, t=40, b=110)))
    drawn.update_layout(hovermode="closest", dragmode="select", xaxis_title_text="", legend_y=1.06)
    kept = thinned(table, rank)
    for group in reversed(range(5)):
        rows = np.flatnonzero(kept & (fifth == group))
        if len(rows):
            _lines(drawn, table, rows, axes, objectives, group)
    _draw_axes(drawn, axes)
    return drawn


def thinned(table: pd.DataFrame, rank: pd.Series) -> np.ndarray:
    """(n,) booleans: which configurations are drawn."""
    must = (table["on_front"] | table["label"].notna()).to_numpy()
    step = max(1, math.ceil(len(table) / LINES))
    return must | (rank.rank(method="first").to_numpy().astype(int) % step == 0)


def _lines(
    drawn: go.Figure, table: pd.DataFrame, rows: np.ndarray, axes: list[Dimension], objectives: object, group: int
) -> None:
    breaks = np.full(len(rows), np.nan)
    y = np.stack([*(axis.at[rows] for axis in axes), breaks], axis=1).ravel()
    x = np.tile([*range(len(axes)), np.nan], len(rows))
    each = len(axes) + 1
    drawn.add_scatter(
        x=x,
        y=y,
        mode="lines+markers",
        name=NAMES[group],
        line=dict(color=SHADES[group], width=1.6 if group == 0 else 1),
        marker=dict(size=4, color=SHADES[group]),
        opacity=[0.95, 0.75, 0.6, 0.45, 0.3][group],
        text=np.repeat(hovers(table.loc[rows], objectives), each),
        hovertemplate="%{text}<extra></extra>",
        customdata=list(np.repeat(table["configuration"].to_numpy(object)[rows], each)),
        meta="configuration",
    )


def _draw_axes(drawn: go.Figure, axes: list[Dimension]) -> None:
    """Upright lines with a few values beside each, and the names below."""
    line = dict(color=theme.GREY, width=1.2)
    upright = [dict(type="line", x0=x, x1=x, y0=0, y1=1, line=line, layer="below") for x in range(len(axes))]
    look = dict(showarrow=False, xanchor="left", xshift=4, font=dict(size=10), bgcolor=theme.VEIL)
    beside = [
        dict(x=x, y=place, text=text, **look)
        for x, axis in enumerate(axes)
        for place, text in zip(axis.ticks, axis.texts, strict=True)
    ]
    # All at once: Plotly copies the whole list for each one that is added.
    drawn.update_layout(shapes=upright, annotations=beside)
    names = ["<br>".join(textwrap.wrap(axis.label, 18)) for axis in axes]
    drawn.update_xaxes(
        tickvals=list(range(len(axes))), ticktext=names, range=[-0.2, len(axes) - 0.5], showgrid=False, showline=False
    )
    drawn.update_xaxes(tickangle=30, ticklabeloverflow="allow")
    drawn.update_yaxes(visible=False, range=[-0.2, 1.06])


def dimensions(table: pd.DataFrame, objectives: Sequence[Objective]) -> list[Dimension]:
    """An axis for each parameter that varies, then one for each objective."""
    names = dict.fromkeys(key for params in table["params"] for key in params)
    found = []
    for key in names:
        values = [params.get(key) for params in table["params"]]
        if len(set(map(str, values))) > 1:
            found.append(dimension(naming.parameter(key), values))
    return found + [dimension(o.label, [float(v) for v in table[o.metric]]) for o in objectives]


def dimension(label: str, values: Sequence[object]) -> Dimension:
    """Names stand at equal distances; numbers on a log axis when they span a factor of ten."""
    present = [v for v in values if v is not None]
    lacking = len(present) < len(values)
    if all(isinstance(v, (int, float)) and not isinstance(v, bool) and math.isfinite(v) for v in present):
        return _numeric(label, values, present)
    known = sorted({str(v) for v in present})
    place = {name: i / max(1, len(known) - 1) for i, name in enumerate(known)} | ({"none": -0.12} if lacking else {})
    at = np.array([place["none" if v is None else str(v)] for v in values], float)
    return Dimension(label, at, list(place.values()), list(place))


def _numeric(label: str, values: Sequence[object], present: Sequence[float]) -> Dimension:
    log = min(present) > 0 and max(present) / min(present) > 10
    place = math.log10 if log else float
    low, high = place(min(present)), place(max(present))
    length = high - low if differ(present) else 1.0

    def height(value: float) -> float:
        return (place(value) - low) / length

    few = sorted(set(present)) if differ(present) else [min(present)]
    ticks = few if len(few) <= 6 else [10**t if log else t for t in np.linspace(low, high, 5)]
    at = np.array([-0.12 if v is None else height(v) for v in values], float)
    places, texts = [height(t) for t in ticks], [naming.number(float(t), 2) for t in ticks]
    if len(present) < len(values):
        places, texts = [-0.12, *places], ["none", *texts]
    return Dimension(f"{label} (log)" if log else label, at, places, texts)
