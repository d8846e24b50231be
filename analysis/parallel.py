"""Parallel coordinates: every ranked configuration as a line through its parameters and objectives."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from analysis import naming, theme
from analysis.naming import Objective

# From the best to the worst: vivid to quiet, and visible on white and on near-black alike.
SCALE = [[0.0, theme.VERMILLION], [0.3, theme.ORANGE], [1.0, theme.GREY]]


def parallel_coordinates(table: pd.DataFrame, objectives: Sequence[Objective]) -> go.Figure:
    """Lines are coloured by the first objective; "none" stands below the values of a parameter that a
    configuration does not have. Each dimension carries its name, and objectives their split.
    """
    table = table.reset_index(drop=True)
    names = list(dict.fromkeys(key for params in table["params"] for key in params))
    dimensions = []
    for key in names:
        values = [params.get(key) for params in table["params"]]
        if len(set(map(str, values))) > 1:
            dimensions.append(dimension(naming.parameter(key), values))
    dimensions += [dict(label=o.label, values=table[o.metric].to_numpy(float)) for o in objectives]
    first = objectives[0]
    drawn = go.Figure(layout=dict(template=theme.LIGHT, height=460, margin=dict(l=70, r=90, t=70, b=30)))
    drawn.add_parcoords(
        dimensions=dimensions,
        labelangle=-12,
        labelside="top",
        line=dict(
            color=table[first.metric].to_numpy(float),
            colorscale=SCALE,
            reversescale=first.sign < 0,
            showscale=True,
            colorbar=dict(title=dict(text=first.label, side="right"), thickness=12),
        ),
    )
    return drawn


def dimension(label: str, values: Sequence[object]) -> dict[str, object]:
    """A `parcoords` dimension: names as codes; numbers on a log axis when they span a factor of ten."""
    present = [v for v in values if v is not None]
    if all(isinstance(v, (int, float)) and not isinstance(v, bool) and math.isfinite(v) for v in present):
        return _numeric(label, values, present)
    known = sorted({str(v) for v in present})
    codes = {name: i for i, name in enumerate(known)} | ({"none": -1} if len(present) < len(values) else {})
    at = np.array([codes["none" if v is None else str(v)] for v in values], float)
    return dict(label=label, values=at, tickvals=list(codes.values()), ticktext=list(codes))


def _numeric(label: str, values: Sequence[object], present: Sequence[float]) -> dict[str, object]:
    log = min(present) > 0 and max(present) / min(present) > 10
    place = np.log10 if log else (lambda v: v)
    low, high = float(place(min(present))), float(place(max(present)))
    few = sorted(set(present))
    ticks = few if len(few) <= 6 else [10**t if log else t for t in np.linspace(low, high, 5)]
    below = low - 0.12 * ((high - low) or 1.0)
    at = np.array([below if v is None else place(v) for v in values], float)
    at_ticks = [float(place(t)) for t in ticks]
    text = [naming.number(float(t), 2) for t in ticks]
    if len(present) < len(values):
        at_ticks, text = [below, *at_ticks], ["none", *text]
    return dict(label=f"{label} (log)" if log else label, values=at, tickvals=at_ticks, ticktext=text)
