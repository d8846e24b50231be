"""Kernels compared: what each would reach with the same number of tries, and all of its configurations."""

import math

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from analysis.study import tables
from analysis.study.load import StudyData
from analysis.study.naming import Objective
from analysis.study.tables import best
from analysis.views import theme
from analysis.views.drawing import DOTS, Chart, figure, fit_range, hovers

COLUMNS = ["kernel", "n", "best", "value", "half", "median", "low", "high", "expected_best", "tries"]


def charts(study: StudyData, table: pd.DataFrame) -> list[Chart]:
    found = []
    for objective in study.objectives:
        by_kernel = kernels(table, objective)
        if len(by_kernel):
            drawn = kernels_figure(by_kernel, tables.ranked(table, [objective]), objective)
            said = f"{objective.label} by kernel; best at equal tries: {by_kernel['kernel'].iloc[0]}."
            title = f"{objective.label} at an equal number of tries"
            found.append(Chart(f"kernels-{objective.metric}", title, drawn, said, searched=True))
    return found


def kernels(table: pd.DataFrame, objective: Objective) -> pd.DataFrame:
    """One row per kernel, best first: n, best (its configuration's name), value, half, median, low, high
    (quartiles), expected_best and tries.

    A kernel that was tried more often has the luckier best. `expected_best` compares them fairly: the
    expected test value of the choice among `tries` of its configurations drawn without replacement, with the
    same `tries` (the smallest number that any kernel has) for all. It is of the search's seeds for all, as are median
    and quartiles; value and half are of the best's fresh seeds where it has some. Fewer than four configurations have
    no quartiles. Empty with fewer than two kernels, which leave nothing to compare.
    """
    rows = []
    with_kernel = best(table[table["kernel"].notna()], objective)
    tried = with_kernel.groupby("kernel").size()
    if len(tried) < 2:
        return pd.DataFrame(columns=COLUMNS)
    tries = int(tried.min())
    for kernel, group in with_kernel.groupby("kernel", sort=False):
        values = group[f"searched_{objective.metric}"].to_numpy(float)
        low, high = np.quantile(values, [0.25, 0.75]) if len(values) >= 4 else (math.nan, math.nan)
        rows.append(
            {
                "kernel": kernel,
                "n": len(group),
                "best": group["name"].iloc[0],
                "value": group[objective.metric].iloc[0],
                "half": group[f"{objective.metric}_chosen"].iloc[0],
                "median": np.median(values),
                "low": low,
                "high": high,
                "expected_best": float(choice_weights(len(values), tries) @ values),
                "tries": tries,
            }
        )
    order = pd.DataFrame(rows, columns=COLUMNS)
    return order.sort_values("expected_best", ascending=objective.sign > 0).reset_index(drop=True)


def choice_weights(n: int, tries: int) -> np.ndarray:
    """(n,) probabilities that the i-th best of n is the best of `tries` drawn without replacement."""
    return np.array([math.comb(n - 1 - i, tries - 1) for i in range(n)], float) / math.comb(n, tries)


def kernels_figure(summary: pd.DataFrame, table: pd.DataFrame, objective: Objective) -> go.Figure:
    """Per kernel: each configuration, median and quartiles, and the best at an equal number of tries."""
    drawn = figure(objective.axis, "kernel", height=150 + 34 * len(summary))
    order = list(summary["kernel"])[::-1]
    column = f"searched_{objective.metric}"
    rows = table[table["kernel"].isin(order) & table[column].notna()]
    values, rows = rows[column], rows.iloc[:: math.ceil(len(rows) / DOTS) or 1]
    drawn.add_scatter(
        x=rows[column],
        y=rows["kernel"],
        mode="markers",
        name="configuration",
        marker=dict(color=theme.GREY, size=6, opacity=0.6),
        text=hovers(rows, [objective]),
        hovertemplate="%{text}<extra></extra>",
        customdata=list(rows["configuration"]),
        meta="configuration",
    )
    drawn.add_scatter(
        x=summary["median"],
        y=summary["kernel"],
        mode="markers",
        name="median and quartiles",
        error_x=dict(
            type="data",
            array=summary["high"] - summary["median"],
            arrayminus=summary["median"] - summary["low"],
            color=theme.SKY,
            thickness=2,
            width=5,
        ),
        marker=dict(color=theme.SKY, symbol="line-ns", size=14, line=dict(width=3, color=theme.SKY)),
        hovertemplate="%{y}: median %{x:.4g}<extra></extra>",
    )
    tries = int(summary["tries"].iloc[0]) if len(summary) else 0
    drawn.add_scatter(
        x=summary["expected_best"],
        y=summary["kernel"],
        mode="markers",
        name=f"expected best of {tries}",
        marker=dict(color=theme.BLUE, symbol="diamond", size=11),
        hovertemplate="%{y}: %{x:.4g}<extra></extra>",
    )
    drawn.add_scatter(
        x=summary["value"],
        y=summary["kernel"],
        mode="markers",
        name=f"chosen as best{', by fresh seeds' if rows['confirmed'].any() else ''}, with interval",
        error_x=dict(type="data", array=summary["half"].fillna(0), color=theme.VERMILLION, thickness=1.2, width=3),
        marker=dict(color=theme.VERMILLION, symbol="star", size=11),
        text=summary["best"],
        hovertemplate="%{text}: %{x:.4g}<extra></extra>",
    )
    fit_range(drawn, "x", pd.concat([values, summary["value"]]), {})
    drawn.update_yaxes(categoryorder="array", categoryarray=order)
    return drawn
