"""Kernels at the same rate: what is left of their differences once the rate is allowed for."""

import math

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from scipy import special

from analysis.study import naming
from analysis.study.load import StudyData
from analysis.study.naming import Objective
from analysis.study.tables import differ, ranked
from analysis.views import theme
from analysis.views.drawing import Chart, figure
from evae.search.noise import ERROR, levels

COLUMNS = ["kernel", "n", "value", "half", "difference", "difference_half", "within_noise", "seen", "rate"]
FEWEST = 2  # configurations of a kernel
FREEDOM = 5  # degrees of freedom left for the noise
POWER = 0.8  # share of studies in which a difference that is said to be seen would be


def charts(study: StudyData, table: pd.DataFrame) -> list[Chart]:
    found = []
    for objective in study.objectives:
        equal = at_equal_rate(table, objective)
        if len(equal):
            title = f"{objective.label} at a rate of {naming.number(float(equal['rate'].iloc[0]))} nats"
            said = f"{title}: best {equal['kernel'].iloc[0]}; within noise of it: "
            said += ", ".join(equal.loc[equal["within_noise"], "kernel"].iloc[1:]) or "none"
            note = "Only configurations whose rate is the exact KL divergence; bars are intervals in which, in 95 % of "
            note += f"studies, all kernels are. A kernel worse by {naming.number(float(equal['seen'].max()), 2)} would "
            note += "have been called so in four of five studies at least."
            drawn = equal_rate_figure(equal, objective)
            found.append(Chart(f"rate-{objective.metric}", title, drawn, said + ".", note))
    return found


def at_equal_rate(table: pd.DataFrame, objective: Objective) -> pd.DataFrame:
    """One row per kernel, best first: n, value and half (adjusted to the median `rate`; in 95 % of studies all kernels
    are in these intervals), difference to the first and half its interval, within_noise (whether that contains zero),
    seen (a difference in truth whose interval would not contain zero in 80 % of studies).

    The first was chosen for its value and may be any: intervals of differences hold for all pairs of kernels together
    (Bonferroni's inequality), so that among kernels that are equal one is called worse in 5 % of studies at most. Each
    kernel's spread is shrunk towards what all share (`noise.levels`).

    Analysis of covariance: least squares on a kernel's own level and a parabola in the logarithm of the rate that all
    kernels share. Only configurations whose rate is the exact KL divergence take part; a bound does not compare.
    Empty when fewer than two kernels have two configurations each, too little is left to judge the noise, all values
    agree, or kernels were tried at rates so different that their effect cannot be told from that of the rate.
    """
    rows = ranked(table, [objective])
    rows = rows[rows["kernel"].notna() & (rows["rate_is"] == "exact")]
    rows = rows[(rows["rate_nats"] > 0) & (rows["rate_nats"] < math.inf)] if "rate_nats" in rows else rows.iloc[:0]
    counts = rows["kernel"].value_counts()
    kernels = sorted(counts.index[counts >= FEWEST])
    rows = rows[rows["kernel"].isin(kernels)]
    empty = pd.DataFrame(columns=COLUMNS)
    if len(kernels) < 2 or not differ(rows[objective.metric]):
        return empty
    rate = np.log(rows["rate_nats"].to_numpy(float))
    centre = float(np.median(rate))
    own = np.stack([rows["kernel"].to_numpy(object) == kernel for kernel in kernels], axis=1).astype(float)
    design = own
    if differ(rows["rate_nats"]):  # rates that agree have no effect to allow for
        aside = (rate - centre) / np.abs(rate - centre).max()
        design = np.column_stack([own, aside, aside**2])
    freedom = len(rows) - design.shape[1]
    if np.linalg.matrix_rank(design, tol=1e-6) < design.shape[1] or freedom < FREEDOM:
        return empty
    y = rows[objective.metric].to_numpy(float)
    inverse = np.linalg.inv(design.T @ design)
    hat = design @ inverse
    fitted = hat.T @ y
    own_freedom = own.T @ (1 - (hat * design).sum(axis=1))
    sums = own.T @ (y - design @ fitted) ** 2
    variance, degrees = levels(sums, own_freedom, np.zeros(len(kernels), int))
    covariance = hat.T @ ((own @ variance)[:, None] * hat)
    n = len(kernels)
    adjusted = fitted[:n]
    order = np.argsort(objective.sign * adjusted, kind="stable")
    first = order[0]
    found = []
    for k in order:
        both, own_variance = np.array([k, first]), covariance[k, k]
        error = math.sqrt(max(0.0, own_variance + covariance[first, first] - 2 * covariance[k, first]))
        # Of Satterthwaite, as in `noise.critical`; no more than all configurations leave.
        parts = np.diag(covariance)[both]
        behind = min(parts.sum() ** 2 / (parts**2 / degrees[both]).sum(), freedom) if parts.any() else freedom
        quantile = float(special.stdtrit(behind, 1 - ERROR / (n * (n - 1))))
        gap, half = adjusted[k] - adjusted[first], quantile * error
        seen = half + float(special.stdtrit(behind, POWER)) * error
        own_half = float(special.stdtrit(degrees[k], 1 - ERROR / 2 / n)) * math.sqrt(own_variance)
        of_kernel = (kernels[k], int(own[:, k].sum()), adjusted[k], own_half)
        found.append((*of_kernel, gap, half, bool(k == first or abs(gap) <= half), seen, float(np.exp(centre))))
    return pd.DataFrame(found, columns=COLUMNS)


def equal_rate_figure(table: pd.DataFrame, objective: Objective) -> go.Figure:
    """Adjusted values with their intervals; those that differ from the best only within noise are hollow."""
    drawn = figure(objective.axis, "kernel", height=150 + 34 * len(table))
    for within, name in ((True, "best, or no different within noise"), (False, "worse by more than noise")):
        rows = table[table["within_noise"] == within]
        if len(rows):
            colour = theme.BLUE if within else theme.GREY
            drawn.add_scatter(
                x=rows["value"],
                y=rows["kernel"],
                mode="markers",
                name=name,
                error_x=dict(type="data", array=rows["half"], color=colour, thickness=1.5, width=4),
                marker=dict(color=colour, size=11, symbol="circle" if within else "circle-open"),
                hovertemplate="%{y}: %{x:.4g}<extra></extra>",
            )
    drawn.update_yaxes(categoryorder="array", categoryarray=list(table["kernel"])[::-1])
    return drawn
