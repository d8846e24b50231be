"""Thin drawings of the tables, each a Plotly figure that also stands alone in a notebook.

A trace whose `meta` is "configuration" or "trial" names in `customdata` which one each of its points shows: what the
page links, filters and opens.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from analysis import naming, tables, theme
from analysis.naming import Objective

HEIGHT = 420
DOTS = 2_000  # of one kind of configuration in a chart; beyond that every k-th is drawn, and the legend says so


def figure(x: str, y: str, height: int = HEIGHT, **layout: object) -> go.Figure:
    """An empty figure whose axes have titles."""
    return go.Figure(layout=dict(template=theme.LIGHT, height=height, xaxis_title_text=x, yaxis_title_text=y, **layout))


def front(
    table: pd.DataFrame, objectives: Sequence[Objective], real_sharpness: float, floors: dict[str, float]
) -> go.Figure:
    """The first objective against the second, at test values; a single one is drawn in order of suggestion.

    `table` is that of `tables.front`; `floors` holds the real-against-real distance of metrics that have one.
    """
    down, across = objectives[0], objectives[1] if len(objectives) > 1 else None
    drawn = figure(across.axis if across else "configuration (order of suggestion)", down.axis, height=540)
    scatter(drawn, table, objectives, (across.metric if across else "number", down.metric))
    for objective, side in ((down, "y"), *([(across, "x")] if across else [])):
        fit_range(drawn, side, table[objective.metric], _marks(objective, real_sharpness, floors))
    return drawn


def scatter(drawn: go.Figure, table: pd.DataFrame, objectives: Sequence[Objective], columns: tuple[str, str]) -> None:
    """Configurations by kind: dominated, dominated within noise, on the front, and each control by its name.

    `columns` are x and y; `table` is that of `tables.front`.
    """
    near, on = table["dominated_within_noise"], table["on_front"]
    control = table["label"].notna()
    kinds = [
        ("dominated", ~control & ~on & ~near, dict(color=theme.GREY, symbol="circle", size=7)),
        ("dominated within noise", ~control & near, dict(color=theme.SKY, symbol="circle-open", size=9)),
        ("front", ~control & on, dict(color=theme.BLUE, symbol="circle", size=11)),
    ]
    for i, label in enumerate(table.loc[control, "label"].unique()):
        chosen = table["label"] == label
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
    """One kind of configuration; those that are dominated have their intervals in the hover text alone."""

    def error(column: str) -> dict[str, object] | None:
        if name.startswith("dominated") or f"{column}_half" not in rows:
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


def _marks(objective: Objective, real_sharpness: float, floors: dict[str, float]) -> dict[str, float]:
    """What real images reach in this objective, by name."""
    marks = {"real against real": floors.get(objective.metric, math.nan)}
    if objective.metric.endswith("sharpness"):
        marks["real images"] = real_sharpness
    if naming.is_gap(objective.metric):
        marks["as sharp as real images"] = 0.0
    return {name: value for name, value in marks.items() if math.isfinite(value)}


def fit_range(drawn: go.Figure, side: str, values: pd.Series, marks: dict[str, float]) -> None:
    """Range from the means, not from their intervals, which may be many times wider; log over wide ranges.

    A mark that would stretch the range by more than a half is named at the frame's edge instead of drawn.
    """
    low, high = values.min(), values.max()
    log = low > 0 and high / low > 20
    place = math.log10 if log else float
    most = 1.6 * (place(high) - place(low))
    shown = {k: v for k, v in marks.items() if v > 0 or not log}
    near = {k: v for k, v in shown.items() if place(max(v, high)) - place(min(v, low)) <= most}
    low, high = min([low, *near.values()]), max([high, *near.values()])
    pad = 0.07 * (place(high) - place(low)) or 0.1 * abs(place(high)) or 1.0
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


def rate_distortion(table: pd.DataFrame, objectives: Sequence[Objective]) -> go.Figure:
    """Distortion over rate of the test split; lines of slope -1 join places of the same ELBO.

    Alemi et al., Fixing a broken ELBO, arXiv 1711.00464. `table` is that of `tables.front`.
    """
    drawn = figure("rate (nats per image)", "distortion (nats per image)", height=460)
    rate, distortion = table["rate_nats"], table["distortion_nats"]
    total = rate + distortion
    along = np.geomspace(max(float(rate.min()), 1e-3), max(float(rate.max()), 2e-3), 60)
    for i, level in enumerate(np.quantile(total, [0.0, 0.5, 1.0])):
        drawn.add_scatter(
            x=along,
            y=level - along,
            mode="lines",
            name="same −ELBO",
            line=dict(color=theme.GREY, width=1, dash="dot"),
            showlegend=i == 0,
            hovertemplate=f"−ELBO {level:.4g} nats<extra></extra>",
        )
    scatter(drawn, table, objectives, ("rate_nats", "distortion_nats"))
    fit_range(drawn, "x", rate, {})
    fit_range(drawn, "y", distortion, {})
    return drawn


def hovers(table: pd.DataFrame, objectives: Sequence[Objective]) -> list[str]:
    """Of each configuration its name, objectives with intervals and parameters, a line each.

    A column "hover" of the table is taken as it is: a report shows the same configurations in many charts.
    """
    if "hover" in table:
        return list(table["hover"])
    columns = ["name", "n", "params", *(c for o in objectives for c in (o.metric, f"{o.metric}_half"))]
    beside = [c for o in objectives if naming.is_gap(o.metric) for c in tables.ratio_columns(o.metric) if c in table]
    columns = list(dict.fromkeys([*columns, *beside]))
    return [_hover(row, objectives) for row in table[columns].to_dict("records")]


def _hover(row: Mapping[str, Any], objectives: Sequence[Objective]) -> str:
    lines = [f"<b>{row['name']}</b> ({naming.count(int(row['n']), 'seed')})"]
    for o in objectives:
        lines.append(f"{o.label}: {naming.interval(row[o.metric], row[f'{o.metric}_half'])}")
        if naming.is_gap(o.metric) and math.isfinite(ratio := tables.against_real(row, o.metric)):
            lines[-1] += f" ({naming.times(ratio)} real images' sharpness)"
    lines += [f"{naming.parameter(k)}: {naming.number(v)}" for k, v in row["params"].items()]
    return "<br>".join(lines)


def kernels(summary: pd.DataFrame, table: pd.DataFrame, objective: Objective) -> go.Figure:
    """Per kernel: each configuration, median and quartiles, and the best at an equal number of tries."""
    drawn = figure(objective.axis, "kernel", height=150 + 34 * len(summary))
    order = list(summary["kernel"])[::-1]
    rows = table[table["kernel"].isin(order) & table[objective.metric].notna()]
    values, rows = rows[objective.metric], rows.iloc[:: math.ceil(len(rows) / DOTS) or 1]
    drawn.add_scatter(
        x=rows[objective.metric],
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
        name="chosen as best, with interval",
        error_x=dict(type="data", array=summary["half"].fillna(0), color=theme.VERMILLION, thickness=1.2, width=3),
        marker=dict(color=theme.VERMILLION, symbol="star", size=11),
        text=summary["best"],
        hovertemplate="%{text}: %{x:.4g}<extra></extra>",
    )
    fit_range(drawn, "x", values, {})
    drawn.update_yaxes(categoryorder="array", categoryarray=order)
    return drawn


def importance(shares: dict[Objective, pd.DataFrame]) -> go.Figure:
    """Share of each parameter per objective, as bars side by side."""
    total = pd.concat(shares.values()).groupby("parameter")["share"].sum().sort_values()
    drawn = figure("share of importance (PED-ANOVA, %)", "parameter", height=150 + 36 * len(total), barmode="group")
    for (objective, table), colour in zip(shares.items(), theme.COLOURS, strict=False):
        share = table.set_index("parameter")["share"].reindex(total.index).fillna(0)
        drawn.add_bar(
            x=100 * share,
            y=[naming.parameter(p) for p in share.index],
            orientation="h",
            name=objective.label,
            marker_color=colour,
            hovertemplate="%{y}: %{x:.0f} %<extra>" + objective.label + "</extra>",
        )
    drawn.update_layout(legend_traceorder="reversed")
    return drawn
