"""What a number does to an objective: each configuration as a point, and a smooth fit, with a band where they are many.

The other parameters are not held fixed: the fit is the mean over what the search tried, and the band is of that mean.
"""

import math
from collections.abc import Sequence
from functools import reduce

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from scipy import special

from analysis.study import naming
from analysis.study.load import StudyData
from analysis.study.naming import Objective
from analysis.study.tables import differ
from analysis.views import theme
from analysis.views.drawing import Chart, figure, fit_range, scatter

FEWEST, DISTINCT = 8, 5  # configurations, and values of the parameter, below which no fit is drawn
BANDED = 30  # configurations below which the fit has no band: it would miss a wave or a step too often
WIDTHS = (0.06, 0.1, 0.16, 0.25, 0.4, 0.7, 1.5)  # of the smoother, as shares of the parameter's range
NARROWER = (1, 0.5, 0.25)
"""Widths of the fits over whose bands the band reaches, as shares of the one that predicts best."""
MOST = 500  # configurations that choose the width: the choice costs the square of their number


def charts(study: StudyData, front: pd.DataFrame) -> list[Chart]:
    """A slice of each objective over each numeric parameter."""
    if not len(front):
        return []
    found = []
    for parameter in parameters(front):
        for objective in study.objectives:
            drawn = slice_figure(front, parameter, study.objectives, objective)
            title = f"{objective.label} over {naming.parameter(parameter)}"
            said = f"{title}, with a smooth fit."
            found.append(Chart(f"slice-{parameter}-{objective.metric}", title, drawn, said, searched=True))
    return found


def parameters(table: pd.DataFrame) -> list[str]:
    """The numeric parameters with enough values to draw a slice of, in the order of the space."""
    names = dict.fromkeys(key for params in table["params"] for key in params)
    return [name for name in names if len(np.unique(values(table, name)[0])) >= DISTINCT]


def values(table: pd.DataFrame, parameter: str) -> tuple[np.ndarray, np.ndarray]:
    """(values of a parameter, places in `table` of the configurations that have it as a finite number)."""
    found = [
        (float(value), i)
        for i, params in enumerate(table["params"])
        if isinstance(value := params.get(parameter), (int, float))
        and not isinstance(value, bool)
        and math.isfinite(value)
    ]
    return np.array([v for v, _ in found]), np.array([i for _, i in found], int)


def is_log(x: np.ndarray) -> bool:
    """Whether values are better seen on a logarithmic axis: above 0, and over more than a factor of ten."""
    return bool(len(x)) and x.min() > 0 and x.max() / x.min() > 10


def smooth(x: np.ndarray, y: np.ndarray, points: int = 60, level: float = 0.95) -> pd.DataFrame:
    """Rows x, fit, low, high: a local straight line and a pointwise band of the mean; empty for too few values, and
    where all of `y` agree, which the band would call certain. Below `BANDED` values low and high are NaN.

    Fan & Gijbels, Local Polynomial Modelling (1996): at each x a line by least squares with Gaussian weights. The width
    that best predicts each configuration from the others, of `WIDTHS`, makes bias and noise about equal, and a band,
    which is of the noise alone, would miss a curve's bends. So a fit with a band has half of that width, whose bias is
    a quarter (undersmoothing), and the band reaches over those of all `NARROWER` fits: where they differ by more than
    noise, the curve bends within the wider one. The band supposes the same spread everywhere; the truth is in it at
    95 % of the places or more, those beside a jump excepted.
    """
    empty = pd.DataFrame(columns=["x", "fit", "low", "high"], dtype=float)
    if len(x) < FEWEST or len(np.unique(x)) < DISTINCT or not differ(y):
        return empty
    log = is_log(x)
    t = np.log(x) if log else x
    t = (t - t.min()) / (t.max() - t.min())
    some = np.unique(np.linspace(0, len(t) - 1, min(len(t), MOST)).astype(int))
    best, grid = _width(t[some], y[some]), np.linspace(0, 1, points)
    fit, low, high = _fit(t, y, some, grid, best * (NARROWER[1] if len(x) >= BANDED else 1), level)
    if not np.isfinite(low).any():
        return empty
    if len(x) >= BANDED:
        bands = [_fit(t, y, some, grid, best * part, level)[1:] for part in NARROWER]
        low, high = (
            reduce(pick, ends) for pick, ends in zip((np.fmin, np.fmax), zip(*bands, strict=True), strict=True)
        )
    else:
        low, high = np.full((2, points), math.nan)
    start, end = (np.log(x.min()), np.log(x.max())) if log else (x.min(), x.max())
    back = start + grid * (end - start)
    return pd.DataFrame({"x": np.exp(back) if log else back, "fit": fit, "low": low, "high": high})


def _fit(
    t: np.ndarray, y: np.ndarray, some: np.ndarray, grid: np.ndarray, width: float, level: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(fit, low, high) at `grid`; the places `some` tell the spread. NaN where they leave nothing to tell it."""
    hat = weights(t[some], t[some], width)
    residual = y[some] - hat @ y[some]
    freedom = len(some) - 2 * np.trace(hat) + np.sum(hat**2)
    at = weights(grid, t, width)
    fit = at @ y
    if freedom < 1:
        return fit, np.full(len(grid), math.nan), np.full(len(grid), math.nan)
    spread = math.sqrt(residual @ residual / freedom) * np.sqrt(np.sum(at**2, axis=1))
    half = special.stdtrit(freedom, 0.5 + level / 2) * spread
    return fit, fit - half, fit + half


def weights(at: np.ndarray, t: np.ndarray, width: float) -> np.ndarray:
    """(m, n) weights with which the values at `t` (n,) make up the fit at the places `at` (m,)."""
    gap = t[None] - at[:, None]
    kernel = np.exp(-0.5 * (gap / width) ** 2) + 1e-12
    s0, s1, s2 = (np.sum(kernel * gap**k, axis=1, keepdims=True) for k in range(3))
    # A little ridge on the slope, for places near which all values are the same.
    s2 = s2 + 1e-9 * s0
    return kernel * (s2 - s1 * gap) / (s0 * s2 - s1**2)


def _width(t: np.ndarray, y: np.ndarray) -> float:
    return min(WIDTHS, key=lambda width: _left_out(t, y, width).mean())


def _left_out(t: np.ndarray, y: np.ndarray, width: float) -> np.ndarray:
    """(n,) squared errors of predicting each value from the others, which a linear smoother gives in closed form."""
    hat = weights(t, t, width)
    keep = 1 - np.diag(hat)
    return np.full(len(t), np.inf) if (keep < 1e-6).any() else ((y - hat @ y) / keep) ** 2


def slice_figure(
    table: pd.DataFrame, parameter: str, objectives: Sequence[Objective], objective: Objective
) -> go.Figure:
    """One objective over one parameter; `table` is that of `tables.front`."""
    x, places = values(table, parameter)
    rows = table.iloc[places].assign(**{"slice_x": x})
    drawn = figure(naming.parameter(parameter), objective.axis, height=360)
    fitted = smooth(x, rows[objective.metric].to_numpy(float))
    if fitted["low"].notna().any():
        drawn.add_scatter(
            x=[*fitted["x"], *fitted["x"][::-1]],
            y=[*fitted["high"], *fitted["low"][::-1]],
            fill="toself",
            fillcolor="rgba(0,114,178,0.16)",
            line=dict(width=0),
            name="95 % band of the mean",
            hoverinfo="skip",
        )
    if len(fitted):
        drawn.add_scatter(
            x=fitted["x"],
            y=fitted["fit"],
            mode="lines",
            name="smooth fit",
            line=dict(color=theme.BLUE, width=2),
            hovertemplate="fit at %{x:.3g}: %{y:.4g}<extra></extra>",
        )
    scatter(drawn, rows, objectives, ("slice_x", objective.metric))
    fit_range(drawn, "y", rows[objective.metric], {})
    drawn.update_layout(showlegend=False, xaxis_type="log" if is_log(x) else "linear")
    return drawn
