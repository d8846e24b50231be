"""The effects of named configurations on several data sets, and on all together: a forest plot."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from analysis.study.across import Across
from analysis.study.naming import Objective
from analysis.views import theme
from analysis.views.drawing import figure

FAR = 1.5
"""Times the spread of the effects that the axis may go beyond them, to show their intervals."""
FARTHEST = 50.0
"""Logarithms beyond this are drawn at it: their exponential would not be a number."""


def forest(found: Across, names: Sequence[str], objective: Objective, title: str) -> go.Figure:
    """A line for each configuration with a mark for each study, and one for all, each with its 95 % interval."""
    labels = list(found.labels)
    ratio = found.scales[objective] == "ratio"
    drawn = figure(title, "", height=110 + (24 + 17 * (1 + len(names))) * len(labels))
    effects = found.effects[found.effects["objective"] == objective]
    combined = found.combined[(found.combined["objective"] == objective) & found.combined["effect"].notna()]
    step = 0.8 / (1 + len(names))
    for place, name in enumerate(names):
        mark = dict(color=theme.COLOURS[place % len(theme.COLOURS)], size=8)
        mark |= dict(symbol=theme.SYMBOLS[place % len(theme.SYMBOLS)])
        _marks(drawn, effects[effects["study"] == place], labels, name, mark, -0.4 + step * place, ratio)
    for differs, name in ((True, "all together: differs"), (False, "all together: no difference shown")):
        mark = dict(color=theme.GREY, symbol="circle" if differs else "circle-open", size=13)
        _marks(drawn, combined[combined["differs"] == differs], labels, name, mark, -0.4 + step * len(names), ratio)
    drawn.update_yaxes(tickvals=list(range(len(labels))), ticktext=labels, range=[len(labels) - 0.5, -0.6])
    none = 1.0 if ratio else 0.0
    low, high = _range(pd.concat([effects, combined]))
    # The axis of a ratio has logarithms to base 10 for its range.
    drawn.update_xaxes(type="log" if ratio else "linear", range=np.array([low, high]) / (np.log(10) if ratio else 1))
    drawn.add_vline(x=none, line=dict(color=theme.GREY, width=1, dash="dot"))
    return drawn


def _range(rows: pd.DataFrame) -> tuple[float, float]:
    """From where to where effects are drawn: as far as their intervals, where these are not much wider than they are
    apart from each other and from none."""
    means, halves = rows["effect"].to_numpy(float), np.nan_to_num(rows["half"].to_numpy(float))
    low, high = min(0.0, means.min()), max(0.0, means.max())
    reach = FAR * (high - low) or halves.max() or 1.0
    low, high = max((means - halves).min(), low - reach), min((means + halves).max(), high + reach)
    low, high = min(low, 0.0), max(high, 0.0)
    pad = 0.05 * (high - low) or 1.0
    return float(low - pad), float(high + pad)


def _marks(
    drawn: go.Figure, rows: pd.DataFrame, labels: list[str], name: str, mark: dict, shift: float, ratio: bool
) -> None:
    if not len(rows):
        return
    ends = np.array([rows["effect"], rows["effect"] - rows["half"], rows["effect"] + rows["half"]], float)
    middle, low, high = np.exp(np.clip(ends, -FARTHEST, FARTHEST)) if ratio else ends
    drawn.add_scatter(
        x=middle,
        y=[labels.index(label) + shift for label in rows["label"]],
        error_x=dict(type="data", array=high - middle, arrayminus=middle - low, color=mark["color"], width=3),
        mode="markers",
        name=name,
        marker=mark,
        text=rows["label"],
        hovertemplate="%{text}: %{x:.3g}<extra>" + name + "</extra>",
    )
