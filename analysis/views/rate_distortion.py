"""Distortion over rate: what a nat of rate saves."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from analysis.study import naming
from analysis.study.load import StudyData
from analysis.study.naming import Objective
from analysis.views import theme
from analysis.views.drawing import Chart, figure, fit_range, scatter


def charts(study: StudyData, front: pd.DataFrame) -> list[Chart]:
    if not len(front) or not {"rate_nats", "distortion_nats"} <= set(front):
        return []
    known = front[front["rate_nats"].notna() & front["distortion_nats"].notna()]
    if not len(known):
        return []
    drawn = rate_distortion_figure(known, study.objectives)
    bounds = int((known["rate_is"] == "bound").sum())
    note = f"Of {naming.count(bounds, 'configuration')} the rate is a bound or an approximation: these do not compare "
    note += "with the others along this axis." if bounds else ""
    return [Chart("rate-distortion", "", drawn, "Distortion over rate.", note if bounds else "")]


def rate_distortion_figure(table: pd.DataFrame, objectives: Sequence[Objective]) -> go.Figure:
    """Distortion over rate of the test split; lines of slope -1 join places of the same ELBO, which only those
    configurations have whose rate is exact.

    Alemi et al., Fixing a broken ELBO, arXiv 1711.00464. `table` is that of `tables.front`.
    """
    drawn = figure("rate (nats per image)", "distortion (nats per image)", height=460)
    rate, distortion = table["rate_nats"], table["distortion_nats"]
    total = (rate + distortion)[table["rate_is"] != "bound"]
    along = np.geomspace(max(float(rate.min()), 1e-3), max(float(rate.max()), 2e-3), 60)
    for i, level in enumerate(np.quantile(total, [0.0, 0.5, 1.0]) if len(total) else []):
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
