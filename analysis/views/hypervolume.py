"""How the front grew: the hypervolume that it dominates, after each finished configuration."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from analysis.study.load import StudyData
from analysis.study.naming import Objective
from analysis.study.tables import differ, ranked
from analysis.views import theme
from analysis.views.drawing import Chart, figure
from evae.search.hypervolume import hypervolume
from evae.search.outlook import outlook


def history(study: StudyData, table: pd.DataFrame) -> pd.DataFrame:
    """Rows configuration, finished (how many configurations were), share (how much of the box between the best and the
    worst value of each objective, on the split that ranks, the configurations so far dominate).

    In the order in which the last replicate of each ended in the search. Empty with fewer than two objectives, and
    where all values of one agree: the box then has no volume.
    """
    rows = ranked(table, study.objectives)
    if len(study.objectives) < 2 or not all(differ(rows[f"select_{o.metric}"]) for o in study.objectives):
        return pd.DataFrame(columns=["configuration", "finished", "share"])
    searched = study.searched
    ended = searched[searched["state"] == "finished"].groupby("configuration")["ended_at"].max()
    rows = rows.assign(ended=rows["configuration"].map(ended)).sort_values(["ended", "number"], kind="stable")
    points = scaled(rows, study.objectives)
    reference = np.ones(points.shape[1])
    front, shares = np.empty((0, points.shape[1])), []
    for point in points:
        if not (front <= point).all(axis=1).any():
            front = np.vstack([front[~(point <= front).all(axis=1)], point])
            volume = hypervolume(front, reference)
        shares.append(volume)
    return pd.DataFrame(
        {"configuration": list(rows["configuration"]), "finished": range(1, len(rows) + 1), "share": shares}
    )


def scaled(rows: pd.DataFrame, objectives: Sequence[Objective]) -> np.ndarray:
    """(n, k) selection values, 0 at the best of each objective and 1 at the worst, which differ."""
    values = np.stack([o.sign * rows[f"select_{o.metric}"].to_numpy(float) for o in objectives], axis=1)
    low, high = values.min(axis=0), values.max(axis=0)
    return (values - low) / (high - low)


def charts(study: StudyData, grown: pd.DataFrame) -> list[Chart]:
    """The chart of `history`."""
    if not len(grown):
        return []
    note = "Of the box between the best and the worst value of each objective, on the split that ranks. "
    note += "Where it no longer rises, more configurations brought no better front."
    note += "".join(f" {line}" for line in ahead(study))
    said = f"Hypervolume of the front after each configuration; it ends at {grown['share'].iloc[-1]:.2f}."
    return [Chart("hypervolume", "How the front grew", hypervolume_figure(grown), said, note)]


def ahead(study: StudyData) -> list[str]:
    """What more of the same search would buy, in a sentence, as the console says it; none where nothing can be said."""
    sampler = str(study.manifest.get("options", {}).get("sampler", ""))
    ranking = [(study.selection_column(o), o.direction) for o in study.objectives]
    rows = study.trials.astype(object).where(study.trials.notna(), None).to_dict("records")
    found = outlook(rows, ranking, study.constraints, sampler)
    return [found.sentence()] if found else []


def hypervolume_figure(table: pd.DataFrame) -> go.Figure:
    drawn = figure(
        "configurations finished", "hypervolume of the front<br>(share of the box of all values)", height=300
    )
    drawn.add_scatter(
        x=table["finished"],
        y=table["share"],
        mode="lines",
        line=dict(color=theme.BLUE, width=2, shape="hv"),
        name="hypervolume",
        hovertemplate="after %{x}: %{y:.3f}<extra></extra>",
        showlegend=False,
    )
    drawn.update_yaxes(rangemode="tozero")
    return drawn
