"""Thin drawings of the tables, each a Plotly figure that also stands alone in a notebook."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from analysis import naming, theme
from analysis.naming import Objective

HEIGHT = 420


def figure(x: str, y: str, height: int = HEIGHT, **layout: object) -> go.Figure:
    """An empty figure whose axes have titles."""
    return go.Figure(
        layout=dict(template=theme.LIGHT, height=height, xaxis_title_text=x, yaxis_title_text=y, **layout)
    )


def front(
    table: pd.DataFrame, objectives: Sequence[Objective], real_sharpness: float, floors: dict[str, float]
) -> go.Figure:
    """The first objective against the second on the test split; one objective is drawn against the order of trials.

    `table` is that of `tables.front`; `floors` holds the real-against-real distance of metrics that have one.
    """
    down = objectives[0]
    across = objectives[1] if len(objectives) > 1 else None
    drawn = figure(across.axis if across else "configuration (order of suggestion)", down.axis, height=520)
    x = across.metric if across else "number"
    searched = table[table["label"].isna()]
    kinds = [
        (
            "dominated",
            ~searched["on_front"] & ~searched["dominated_within_noise"],
            theme.GREY,
            "circle",
            7,
            False,
        ),
        ("dominated within noise", searched["dominated_within_noise"], theme.SKY, "circle-open", 9, False),
        ("front", searched["on_front"], theme.BLUE, "circle", 11, True),
    ]
    for name, chosen, colour, symbol, size, bars in kinds:
        if chosen.any():
            _points(drawn, searched[chosen], name, x, down.metric, colour, symbol, size, bars, objectives)
    controls = table[table["label"].notna()].groupby("label", sort=False)
    for i, (label, group) in enumerate(controls):
        colour = theme.COLOURS[1:][i % (len(theme.COLOURS) - 1)]
        symbol = theme.SYMBOLS[i % len(theme.SYMBOLS)]
        _points(
            drawn,
            group,
            f"{label} (on front)" if group["on_front"].any() else label,
            x,
            down.metric,
            colour,
            symbol,
            13,
            True,
            objectives,
        )
    for objective, side in ((down, "y"), *([(across, "x")] if across else [])):
        marks = {}
        if objective.metric.endswith("sharpness"):
            marks["real images"] = real_sharpness
        if objective.metric in floors:
            marks["real against real"] = floors[objective.metric]
        _axis(drawn, side, table[objective.metric], marks)
    return drawn


def _points(drawn, rows, name, x, y, colour, symbol, size, bars, objectives) -> None:
    def error(column: str) -> dict[str, object] | None:
        if not bars or f"{column}_half" not in rows:
            return None
        return dict(type="data", array=rows[f"{column}_half"].fillna(0), color=colour, thickness=1.2, width=3)

    drawn.add_scatter(
        x=rows[x],
        y=rows[y],
        name=name,
        mode="markers",
        error_x=error(x),
        error_y=error(y),
        marker=dict(
            color=colour,
            symbol=symbol,
            size=size,
            line=dict(width=1.5 if "open" in symbol else 0.5, color=colour),
        ),
        text=[hover(row, objectives) for _, row in rows.iterrows()],
        hovertemplate="%{text}<extra></extra>",
    )


def _axis(drawn: go.Figure, side: str, values: pd.Series, marks: dict[str, float]) -> None:
    """Range from the means, not from their intervals, which may be many times wider; log over wide ranges."""
    marks = {name: value for name, value in marks.items() if math.isfinite(value)}
    for name, value in marks.items():
        line = dict(color=theme.GREEN, width=1.5, dash="dash")
        note = dict(annotation_text=f"{name} {naming.number(value)}", annotation_font_color=theme.GREEN)
        if side == "x":
            drawn.add_vline(
                value, line=line, **note, annotation_textangle=-90, annotation_position="bottom left"
            )
        else:
            drawn.add_hline(value, line=line, **note, annotation_position="bottom right")
    known = np.array([*values.dropna(), *marks.values()], float)
    if not len(known):
        return
    low, high = known.min(), known.max()
    log = low > 0 and high / low > 20
    if log:
        low, high = np.log10(low), np.log10(high)
    pad = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
    drawn.update_layout({f"{side}axis": dict(type="log" if log else "linear", range=[low - pad, high + pad])})
    if log:
        titled = drawn.layout[f"{side}axis"].title
        titled.text = f"{titled.text}, log scale"


def hover(row: pd.Series, objectives: Sequence[Objective]) -> str:
    """A configuration's name, objectives with intervals and parameters, a line each."""
    lines = [f"<b>{row['name']}</b> ({naming.count(int(row['n']), 'seed')})"]
    lines += [f"{o.label}: {naming.interval(row[o.metric], row[f'{o.metric}_half'])}" for o in objectives]
    lines += [f"{naming.parameter(k)}: {naming.number(v)}" for k, v in row["params"].items()]
    return "<br>".join(lines)


def kernels(summary: pd.DataFrame, table: pd.DataFrame, objective: Objective) -> go.Figure:
    """Per kernel: each configuration, the quartiles with the median, and the best at an equal number of tries."""
    drawn = figure(objective.axis, "kernel", height=150 + 34 * len(summary))
    order = list(summary["kernel"])[::-1]
    rows = table[table["kernel"].isin(order) & table[objective.metric].notna()]
    drawn.add_scatter(
        x=rows[objective.metric],
        y=rows["kernel"],
        mode="markers",
        name="configuration",
        marker=dict(color=theme.GREY, size=6, opacity=0.6),
        text=[hover(r, [objective]) for _, r in rows.iterrows()],
        hovertemplate="%{text}<extra></extra>",
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
        error_x=dict(
            type="data", array=summary["half"].fillna(0), color=theme.VERMILLION, thickness=1.2, width=3
        ),
        marker=dict(color=theme.VERMILLION, symbol="star", size=11),
        text=summary["best"],
        hovertemplate="%{text}: %{x:.4g}<extra></extra>",
    )
    _axis(drawn, "x", pd.concat([rows[objective.metric]]), {})
    drawn.update_yaxes(categoryorder="array", categoryarray=order)
    return drawn


def importance(shares: dict[Objective, pd.DataFrame]) -> go.Figure:
    """Share of each parameter per objective, as bars side by side."""
    total = pd.concat(shares.values()).groupby("parameter")["share"].sum().sort_values()
    drawn = figure(
        "share of importance (PED-ANOVA, %)", "parameter", height=130 + 48 * len(total), barmode="group"
    )
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


def learning_curves(curves: pd.DataFrame, metric: str, title: str, highlight: dict[str, str]) -> go.Figure:
    """`metric` per epoch, one line a trial. `highlight` maps configurations to the names of those to be coloured."""
    drawn = figure("epoch", title)
    others = curves[~curves["configuration"].isin(highlight)]
    x: list[float | None] = []
    y: list[float | None] = []
    for _, trial in others.groupby("trial", sort=False):
        x += [*trial["epoch"], None]
        y += [*trial[metric], None]
    if x:
        drawn.add_scatter(
            x=x,
            y=y,
            mode="lines",
            name="other trials",
            line=dict(color=theme.GREY, width=1),
            opacity=0.35,
            hoverinfo="skip",
        )
    for i, (configuration, name) in enumerate(highlight.items()):
        colour, dash = (
            theme.COLOURS[i % len(theme.COLOURS)],
            ["solid", "dash", "dot"][i // len(theme.COLOURS) % 3],
        )
        groups = curves[curves["configuration"] == configuration].groupby("trial", sort=False)
        for j, (_, trial) in enumerate(groups):
            drawn.add_scatter(
                x=trial["epoch"],
                y=trial[metric],
                mode="lines+markers" if len(trial) < 2 else "lines",
                name=name,
                legendgroup=configuration,
                showlegend=j == 0,
                line=dict(color=colour, width=2, dash=dash),
                hovertemplate="epoch %{x}: %{y:.4g}<extra>" + name + "</extra>",
            )
    return drawn


def timeline(lanes: pd.DataFrame) -> go.Figure:
    """Which worker trained which trial when, coloured by how the trial ended."""
    names = sorted(lanes["lane"].unique(), reverse=True)
    drawn = figure(
        "time since the study began (minutes)", "worker", height=130 + 34 * len(names), barmode="overlay"
    )
    for state in theme.STATES:
        rows = lanes[lanes["state"] == state]
        if len(rows):
            drawn.add_bar(
                base=rows["start"],
                x=(rows["end"] - rows["start"]),
                y=rows["lane"],
                orientation="h",
                name=state,
                marker=dict(color=theme.STATES[state], line=dict(width=0.5, color="rgba(128,128,128,0.6)")),
                text=rows["trial"],
                textposition="none",
                hovertemplate="%{text}: %{x:.2f} min<extra>" + state + "</extra>",
            )
    drawn.update_yaxes(categoryorder="array", categoryarray=names)
    return drawn
