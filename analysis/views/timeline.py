"""Which worker trained which trial when."""

import heapq
import math

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from analysis.study import naming
from analysis.study.load import StudyData
from analysis.study.timing import per_trial, sessions
from analysis.views import theme
from analysis.views.drawing import Chart, figure

BARS = 3_000  # drawn at most


def charts(study: StudyData) -> list[Chart]:
    lanes = timeline(study)
    if not len(lanes):
        return []
    note = f"The longest {BARS:,} of {len(lanes):,} trials are drawn." if len(lanes) > BARS else ""
    said = f"When each trial ran, on {naming.count(lanes['lane'].nunique(), 'worker')}."
    return [Chart("timeline", "", timeline_figure(lanes), said, note)]


def timeline(study: StudyData) -> pd.DataFrame:
    """One row per trial that has started: trial, state, lane ("host · 1"), start, end (minutes of the study's
    clock).

    A lane is a place that runs one trial at a time: trials of a host are packed into as few as hold them,
    since a worker that was replaced goes on in the same place. A trial without a recorded end lasts until its
    last epoch.
    """
    last_epoch = study.epochs.groupby("trial")["ended_at"].max()
    own = study.trained_here
    trials = own[own["started_at"].notna()].sort_values("started_at")
    ends = trials["ended_at"].fillna(per_trial(last_epoch, trials)).fillna(trials["started_at"])
    clock = sessions(study) or [{"began": trials["started_at"].min(), "start": 0.0, "end": math.inf}]
    free: dict[str, list[tuple[pd.Timestamp, int]]] = {}
    rows = []
    needed = trials[["trial", "state", "slot", "started_at"]].to_dict("records")
    for trial, end in zip(needed, ends, strict=True):
        host = (trial["slot"] or "worker").rsplit(":", 1)[0]
        lanes = free.setdefault(host, [])
        is_free = lanes and lanes[0][0] <= trial["started_at"]
        lane = heapq.heappop(lanes)[1] if is_free else len(lanes) + 1
        heapq.heappush(lanes, (end, lane))
        session = max(
            (s for s in clock if s["began"] <= trial["started_at"]),
            key=lambda s: s["began"],
            default=clock[0],
        )
        start = session["start"] + (trial["started_at"] - session["began"]).total_seconds()
        length = (end - trial["started_at"]).total_seconds()
        rows.append(
            {
                "trial": trial["trial"],
                "state": trial["state"],
                "lane": f"{host} · {lane}",
                "start": start / 60,
                "end": (start + length) / 60,
            }
        )
    return pd.DataFrame(rows, columns=["trial", "state", "lane", "start", "end"])


def timeline_figure(lanes: pd.DataFrame) -> go.Figure:
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
