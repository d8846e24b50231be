"""The verdicts of several studies in one static picture: a column for each metric, a row for each kind of claim."""

import math
from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from analysis.study.answers import ALIKE, OTHERS, SHARES, Line, in_words, scale
from analysis.views import theme
from evae.search.noise import ERROR

WIDTH = 900
LINE = 26
"""Pixels of a claim, with a mark for each study."""
FAR = 10
"""Times the spread of the marks that an axis may go beyond them, to show their intervals."""
ON_PAPER = {"xref": "paper", "yref": "paper"}
INK, GRID = "#2b2f36", "#e8eaee"
COLOURS = (theme.BLUE, theme.VERMILLION, theme.GREEN, theme.PURPLE, theme.ORANGE, theme.SKY)
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "star", "hexagon")


def picture(lines: Sequence[Line], names: Sequence[str]) -> go.Figure:
    """Of each comparison the ratio of its sides, of each parameter its share, with the intervals that hold for all of a
    study's claims together: filled where the claim is decided, hollow where it is not. On white, since it is to be
    read on any page."""
    kinds = [kind for kind in (ALIKE, SHARES, OTHERS) if any(line.kind == kind for line in lines)]
    metrics = list(dict.fromkeys(line.metric for line in lines))
    rows = {kind: list(dict.fromkeys(_label(line) for line in lines if line.kind == kind)) for kind in kinds}
    heights = [LINE * len(rows[kind]) for kind in kinds]
    height = sum(heights) + 74 * len(kinds) + 110
    drawn = make_subplots(
        rows=len(kinds),
        cols=len(metrics),
        row_heights=heights,
        shared_yaxes=True,
        horizontal_spacing=0.05,
        vertical_spacing=74 / height,
    )
    for i, kind in enumerate(kinds, 1):
        for j, metric in enumerate(metrics, 1):
            here = [line for line in lines if (line.kind, line.metric) == (kind, metric)]
            _panel(drawn, here, rows[kind], names, (i, j))
    _headings(drawn, lines, kinds, metrics)
    drawn.update_layout(
        template="none",
        width=WIDTH,
        height=height,
        font=dict(family=theme.FONT, size=12, color=INK),
        paper_bgcolor="white",
        plot_bgcolor="white",
        showlegend=True,
        margin=dict(l=150, r=16, t=60, b=84),
        legend=dict(
            orientation="h", x=0.5, xanchor="center", y=-30 / (height - 144), yanchor="top", itemsizing="constant"
        ),
    )
    return drawn


def _label(line: Line) -> str:
    return line.against or line.what.replace("_", " ")


def _panel(drawn: go.Figure, lines: Sequence[Line], rows: list[str], names: Sequence[str], at: tuple[int, int]) -> None:
    """The marks of one metric and one kind of claim."""
    row, col = at
    marks = [(line, place, scale(v), v.decided) for line in lines for place, v in enumerate(line.verdicts) if v]
    known = [mark for mark in marks if math.isfinite(mark[2][0])]
    share = any(line.kind == SHARES for line in lines)
    low, high = (-0.04, 1.04) if share else _range([ends for *_, ends, _ in known])
    step = 0.7 / max(1, len(names))
    for place, name in enumerate(names):
        own = [(line, ends, decided) for line, at_place, ends, decided in known if at_place == place]
        middle = [ends[0] for _, ends, _ in own]
        drawn.add_scatter(
            x=middle,
            y=[rows.index(_label(line)) + step * (place - (len(names) - 1) / 2) for line, *_ in own],
            error_x=dict(
                type="data",
                # Where an interval has no end yet, as far as the axis goes.
                array=[min(ends[2], high) - min(ends[0], high) for _, ends, _ in own],
                arrayminus=[max(ends[0], low) - max(ends[1], low) for _, ends, _ in own],
                color=COLOURS[place % len(COLOURS)],
                thickness=1.6,
                width=0,
            ),
            mode="markers",
            marker=dict(
                color=[COLOURS[place % len(COLOURS)] if decided else "white" for *_, decided in own],
                symbol=SYMBOLS[place % len(SYMBOLS)],
                size=8,
                line=dict(color=COLOURS[place % len(COLOURS)], width=1.6),
            ),
            name=name,
            legendgroup=name,
            showlegend=bool(own) and name not in [trace.name for trace in drawn.data if trace.showlegend],
            row=row,
            col=col,
        )
    limits = {line.verdicts[place].stated.claim.limit for line, place, *_ in marks} if share else {1.0}
    for limit in limits:
        drawn.add_vline(x=limit, line=dict(color=theme.GREY, width=1.2, dash="dot"), row=row, col=col)
    drawn.update_xaxes(
        range=[low, high],
        tickformat=".0%" if share else None,
        tickvals=[0, 0.25, 0.5, 0.75, 1] if share else None,
        nticks=5,
        gridcolor=GRID,
        showline=True,
        linecolor=theme.GREY,
        ticks="outside",
        ticklen=3,
        zeroline=False,
        tickfont=dict(size=11),
        row=row,
        col=col,
    )
    drawn.update_yaxes(
        range=[len(rows) - 0.4, -0.6],
        tickvals=list(range(len(rows))),
        ticktext=rows,
        gridcolor=GRID,
        zeroline=False,
        row=row,
        col=col,
    )


def _range(ends: Sequence[tuple[float, float, float]]) -> tuple[float, float]:
    """From where to where ratios are drawn: as far as their intervals, where these are not much wider than the ratios
    are apart from each other and from one."""
    if not ends:
        return 0.5, 1.5
    low, high = min(1.0, *(middle for middle, *_ in ends)), max(1.0, *(middle for middle, *_ in ends))
    reach = FAR * (high - low) or 0.5
    finite = [end for _, *both in ends for end in both if math.isfinite(end)]
    low, high = max(min([low, *finite]), low - reach), min(max([high, *finite]), high + reach)
    return max(0.0, low - 0.05 * (high - low)), high + 0.05 * (high - low)


def _headings(drawn: go.Figure, lines: Sequence[Line], kinds: Sequence[str], metrics: Sequence[str]) -> None:
    """What the columns are of, and what the rows show."""
    ways = {v.stated.claim.direction for line in lines for v in line.verdicts if v}
    better = {"min": ", below it better", "max": ", above it better"}.get(ways.pop() if len(ways) == 1 else None, "")
    columns = {line.metric: line.column for line in lines}
    for j, metric in enumerate(metrics):
        axis = drawn.get_subplot(1, j + 1).xaxis
        words = dict(text=f"<b>{metric}</b><br>{in_words(columns[metric])}", showarrow=False, xanchor="center")
        at = dict(x=sum(axis.domain) / 2, y=1, **ON_PAPER, yanchor="bottom", yshift=22)
        drawn.add_annotation(**words, **at)
    note = "filled: decided; hollow: not. Bars hold for all of a study's claims together."
    drawn.add_annotation(text=note, x=0.5, y=0, yshift=-62, **ON_PAPER, yanchor="top", showarrow=False, font_size=11)
    for i, kind in enumerate(kinds):
        axis = drawn.get_subplot(i + 1, 1).yaxis
        lefts = " or ".join(dict.fromkeys(line.what for line in lines if line.kind == kind))
        what = {
            ALIKE: f"{lefts} ÷ others of its method (1: equal{better})",
            OTHERS: f"{lefts} ÷ other methods (1: equal{better})",
            SHARES: "share of what varies that each explains by itself",
        }[kind]
        at = dict(x=0, xanchor="left", y=axis.domain[1], **ON_PAPER, yanchor="bottom", yshift=3)
        drawn.add_annotation(text=f"<i>{what}</i>", showarrow=False, font=dict(size=12), **at)


def said(lines: Sequence[Line], names: Sequence[str]) -> str:
    """The picture in text: its numbers, a line for each mark."""
    rows = [
        f"Intervals hold for all of a study's claims together in {100 * (1 - ERROR):.0f} % of studies.",
        "study, claim, verdict, ratio or share, from, to",
    ]
    for line in lines:
        for name, verdict in zip(names, line.verdicts, strict=True):
            if verdict is not None:
                numbers = ", ".join(f"{end:.4g}" for end in scale(verdict))
                rows.append(f"{name}, {line.text.replace(',', ';')}, {verdict.said}, {numbers}")
    return "\n".join(rows)
