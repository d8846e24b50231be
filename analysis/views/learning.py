"""How trials went on: learning curves, with the epochs at which trials were stopped."""

import math

import pandas as pd
import plotly.graph_objects as go

from analysis.study import epochs, naming
from analysis.study.load import StudyData
from analysis.views import theme
from analysis.views.drawing import Chart, figure

POINTS = 40_000  # of one chart of learning curves; beyond that, epochs between the first and the last are left out
HIGHLIGHTED = 10  # configurations whose learning curves are drawn in colour


def charts(study: StudyData, front: pd.DataFrame) -> list[Chart]:
    shown = front[front["on_front"] | front["label"].notna()].head(HIGHLIGHTED)
    highlight = dict(zip(shown["configuration"], shown["name"], strict=True))
    stopped, judged, found = epochs.stops(study), epochs.rungs(study), []
    for metric, label in (("val_distortion_nats", "distortion"), ("val_rate_nats", "rate")):
        table, k = thin(epochs.learning_curves(study, metric))
        if len(table):
            drawn = learning_figure(table, metric, f"validation {label} (nats per image)", highlight, stopped, judged)
            note = f"Of each trial the first, the last and one in {k} epochs between are drawn. " if k > 1 else ""
            bounds = study.trials.loc[study.trials["rate_is"] == "bound", "trial"].isin(table["trial"]).sum()
            if metric == "val_rate_nats" and bounds:
                note += (
                    f"Of {naming.count(int(bounds), 'trial')} the rate is a bound, which does not compare with others'."
                )
            title = f"{label} on the validation split"
            said = f"{title} by epoch, {naming.count(table['trial'].nunique(), 'trial')}, {len(stopped):,} stopped."
            found.append(Chart(metric, title, drawn, said, note))
    return found


def thin(curves: pd.DataFrame, most: int = POINTS) -> tuple[pd.DataFrame, int]:
    """(curves, k): of each trial its first and last epoch and every k-th between, so that about `most` rows are left,
    or two a trial where these are more.
    """
    if len(curves) <= most:
        return curves, 1
    groups = curves.groupby("trial", sort=False)
    place, last = groups.cumcount(), groups["epoch"].transform("size") - 1
    ends = (place == 0) | (place == last)
    k = math.ceil((~ends).sum() / max(1, most - ends.sum()))
    return curves[ends | (place % k == 0)].reset_index(drop=True), k


def learning_figure(
    curves: pd.DataFrame,
    metric: str,
    title: str,
    highlight: dict[str, str],
    stops: pd.DataFrame | None = None,
    rungs: pd.DataFrame | None = None,
) -> go.Figure:
    """`metric` per epoch, a line a trial; `highlight` maps the configurations in colour to their names.

    `stops` (of `epochs.stops`) are drawn as crosses where lines end, `rungs` (of `epochs.rungs`) as dotted lines.
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
