"""How trials went on: learning curves with the epochs at which trials were stopped, and which worker did what when."""

import math

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from analysis import theme
from analysis.figures import figure

POINTS = 40_000  # of one chart of learning curves; beyond that, epochs between the first and the last are left out
BARS = 3_000  # of the timeline


def thin(curves: pd.DataFrame, most: int = POINTS) -> tuple[pd.DataFrame, int]:
    """(curves, k): of each trial its first and last epoch and every k-th between, so that `most` rows are left or as
    many as there are trials twice over.
    """
    if len(curves) <= most:
        return curves, 1
    groups = curves.groupby("trial", sort=False)
    place, last = groups.cumcount(), groups["epoch"].transform("size") - 1
    ends = (place == 0) | (place == last)
    k = math.ceil((~ends).sum() / max(1, most - ends.sum()))
    return curves[ends | (place % k == 0)].reset_index(drop=True), k


def learning_curves(
    curves: pd.DataFrame,
    metric: str,
    title: str,
    highlight: dict[str, str],
    stops: pd.DataFrame | None = None,
    rungs: pd.DataFrame | None = None,
) -> go.Figure:
    """`metric` per epoch, a line a trial; `highlight` maps the configurations in colour to their names.

    `stops` (of `tables.stops`) are drawn as crosses where lines end, `rungs` (of `tables.rungs`) as dotted lines.
    """
    drawn = figure("epoch", title)
    others = curves[~curves["configuration"].isin(highlight)]
    if len(others):
        # One trace for all of them: a row without a value after each trial's last one breaks the line there.
        ends = others.drop_duplicates("trial", keep="last").assign(**{metric: math.nan})
        broken = pd.concat([others, ends]).sort_index(kind="stable")
        drawn.add_scatter(
            x=broken["epoch"],
            y=broken[metric],
            mode="lines",
            name="other trials",
            line=dict(color=theme.GREY, width=1),
            opacity=0.35,
            hovertemplate="epoch %{x}: %{y:.4g}<extra></extra>",
            customdata=list(broken["trial"]),
            meta="trial",
        )
    groups = dict(list(curves[curves["configuration"].isin(highlight)].groupby("configuration", sort=False)))
    for i, (configuration, name) in enumerate(highlight.items()):
        colour, dash = theme.COLOURS[i % len(theme.COLOURS)], ["solid", "dash", "dot"][i // len(theme.COLOURS) % 3]
        trials = groups[configuration].groupby("trial", sort=False) if configuration in groups else []
        for j, (_, trial) in enumerate(trials):
            drawn.add_scatter(
                x=trial["epoch"],
                y=trial[metric],
                mode="lines+markers" if len(trial) < 2 else "lines",
                name=name,
                legendgroup=configuration,
                showlegend=j == 0,
                line=dict(color=colour, width=2, dash=dash),
                hovertemplate="epoch %{x}: %{y:.4g}<extra>" + name + "</extra>",
                customdata=list(trial["trial"]),
                meta="trial",
            )
    if stops is not None and len(stops):
        _draw_stops(drawn, curves, metric, stops)
    # Named where falling curves, or rising ones, leave room at first.
    means = curves.groupby("epoch")[metric].mean()
    edge = "bottom" if len(means) and means.iloc[0] > means.iloc[-1] else "top"
    for rung in rungs.itertuples() if rungs is not None else []:
        drawn.add_vline(
            x=rung.epoch,
            line=dict(color=theme.GREY, width=1, dash="dot"),
            annotation=dict(text=f"{rung.stopped} of {rung.judged} stopped", textangle=-90, font=dict(size=10)),
            annotation_position=f"{edge} right",
        )
    return drawn


def _draw_stops(drawn: go.Figure, curves: pd.DataFrame, metric: str, stops: pd.DataFrame) -> None:
    last = curves.drop_duplicates("trial", keep="last")
    ended = last[last["trial"].isin(stops["trial"])]
    drawn.add_scatter(
        x=ended["epoch"],
        y=ended[metric],
        mode="markers",
        name="stopped early",
        marker=dict(symbol="x", size=8, color=theme.VERMILLION),
        hovertemplate="stopped after epoch %{x}: %{y:.4g}<extra></extra>",
        customdata=list(ended["trial"]),
        meta="trial",
    )


def timeline(lanes: pd.DataFrame) -> go.Figure:
    """Which worker trained which trial when, coloured by how the trial ended; the longest `BARS` trials."""
    names = sorted(lanes["lane"].unique(), reverse=True)
    drawn = figure("time since the study began (minutes)", "worker", height=190 + 34 * len(names), barmode="overlay")
    length = lanes["end"] - lanes["start"]
    kept = lanes.loc[length.nlargest(BARS).index.sort_values()]
    known = [state for state in theme.STATES if state in set(kept["state"])]
    for state in [*known, *sorted(set(kept["state"].dropna()) - set(known))]:
        rows = kept[kept["state"] == state]
        drawn.add_bar(
            base=rows["start"],
            x=np.maximum(rows["end"] - rows["start"], 0),
            y=rows["lane"],
            orientation="h",
            name=state,
            marker=dict(color=theme.state_colour(state), line=dict(width=0.5, color="rgba(128,128,128,0.6)")),
            hovertemplate="%{x:.2f} min<extra>" + state + "</extra>",
            customdata=list(rows["trial"]),
            meta="trial",
        )
    drawn.update_yaxes(categoryorder="array", categoryarray=names)
    return drawn
