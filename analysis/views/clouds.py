"""Models of points: data, reconstructions and samples as clouds, over the model's density."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from analysis.study import naming
from analysis.study.load import StudyData
from analysis.study.pictures import choose
from analysis.views import theme
from analysis.views.drawing import Chart, figure

NATS = 8
"""How far below its greatest value the logarithm of a density is drawn."""
HEIGHT = 420
STYLES = {
    "data": ("test data", dict(color=theme.GREY, size=4, opacity=0.8)),
    "reconstructed": ("reconstructed", dict(color=theme.ORANGE, size=3, opacity=0.9)),
    "sampled": ("sampled", dict(color=theme.GREEN, size=3, symbol="cross", opacity=0.8)),
}
SHADES = [[0, "rgba(86,180,233,0)"], [1, "rgba(86,180,233,0.9)"]]


def charts(study: StudyData, front: pd.DataFrame) -> list[Chart]:
    """One for each configuration of the gallery (`pictures.choose`) whose trial has left clouds."""
    found = []
    for row in choose(front, study).to_dict("records") if len(front) else []:
        if rows := clouds(study, row["trial"]):
            values = "; ".join(f"{o.label} {naming.number(row[o.metric])}" for o in study.objectives)
            said = f"{row['name']}: {', '.join(rows)}. {values}."
            note = f"{values}. {row['trial']}"
            found.append(Chart(f"clouds-{row['trial']}", row["name"], cloud_figure(rows), said, note))
    return found


def clouds(study: StudyData, trial: str) -> dict[str, dict[str, Any]]:
    """What a trial has left, by kind: `x` and `y` (None of points of one number), of a density `values` in nats of a
    grid, x in the inner loop. Empty where there is nothing that can be read."""
    return {row["kind"]: row for row in study.clouds(trial) if _fits(row)}


def _fits(row: Mapping[str, Any]) -> bool:
    """Whether the lengths go together."""
    x, y, values = (row.get(name) for name in ("x", "y", "values"))
    if x is None or not len(x):
        return False
    if row.get("kind") == "density":
        return values is not None and len(values) == len(x) * (1 if y is None else len(y))
    return row.get("kind") in STYLES and (y is None or len(y) == len(x))


def cloud_figure(rows: Mapping[str, Mapping[str, Any]]) -> go.Figure:
    """The clouds of a trial: in a plane, or of points of one number as histograms beside the density."""
    flat = any(row["y"] is None for row in rows.values())
    drawn = figure("x", "density" if flat else "", HEIGHT, legend=dict(orientation="h", y=1.12))
    (_draw_line if flat else _draw_plane)(drawn, rows)
    return drawn


def _draw_plane(drawn: go.Figure, rows: Mapping[str, Mapping[str, Any]]) -> None:
    if density := rows.get("density"):
        values = np.asarray(density["values"], float).reshape(len(density["y"]), len(density["x"]))
        most = float(values.max())
        bar = dict(title=dict(text="ln p", side="top"), thickness=8, len=0.7)
        look = dict(zmin=most - NATS, zmax=most, zsmooth="best", colorscale=SHADES, colorbar=bar, hoverinfo="skip")
        drawn.add_heatmap(x=density["x"], y=density["y"], z=values.tolist(), name="model's density", **look)
        drawn.update_layout(xaxis_title_text="x₁", yaxis_title_text="x₂")
    else:
        drawn.update_layout(xaxis_title_text="first principal axis", yaxis_title_text="second principal axis")
    for kind, (name, marker) in STYLES.items():
        if kind in rows:
            drawn.add_scatter(
                x=rows[kind]["x"], y=rows[kind]["y"], name=name, mode="markers", marker=marker, hoverinfo="skip"
            )
    drawn.update_xaxes(constrain="domain")
    drawn.update_yaxes(scaleanchor="x", constrain="domain")


def _draw_line(drawn: go.Figure, rows: Mapping[str, Mapping[str, Any]]) -> None:
    for kind, (name, marker) in STYLES.items():
        if kind in rows and kind != "reconstructed":
            look = dict(color=marker["color"], opacity=0.5)
            shape = dict(histnorm="probability density", nbinsx=40, hoverinfo="skip")
            drawn.add_histogram(x=rows[kind]["x"], name=name, marker=look, **shape)
    if density := rows.get("density"):
        line = dict(color=theme.BLUE, width=2)
        y = np.exp(np.asarray(density["values"], float))
        drawn.add_scatter(x=density["x"], y=y, name="model's density", mode="lines", line=line, hoverinfo="skip")
    drawn.update_layout(barmode="overlay")
