"""Which searched parameters decide each objective: PED-ANOVA on a study rebuilt from the store."""

import math
import warnings
from collections.abc import Mapping
from typing import Any

import optuna
import pandas as pd
import plotly.graph_objects as go
from optuna.distributions import BaseDistribution
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

from analysis.study import naming
from analysis.study.load import StudyData
from analysis.study.naming import Objective
from analysis.study.space import contains, distribution
from analysis.study.tables import ranked
from analysis.views import theme
from analysis.views.drawing import Chart, figure

FEWEST = 10  # configurations below which a tenth, the best that PED-ANOVA looks at, is less than one
MOST = 1_000  # configurations beyond which every k-th is left: Optuna copies each trial several times


def importance(described: dict[str, Any], table: pd.DataFrame, objective: Objective) -> pd.DataFrame:
    """Rows (parameter, share) for one objective, largest first, shares adding up to one; empty below ten
    configurations or without a space, which is `described` as in the manifest.

    Watanabe et al., PED-ANOVA, arXiv 2304.10255; its extension to conditional parameters, arXiv 2601.20800.
    Of more than `MOST` configurations, every k-th by rank takes part. The share says how much a parameter decides
    whether a configuration is among the best tenth (at least five of them).
    """
    empty = pd.DataFrame(columns=["parameter", "share"])
    space = {name: d for name, text in described.items() if (d := distribution(text))}
    rows = ranked(table, [objective])
    if len(rows) < FEWEST:
        return empty
    if len(rows) > MOST:
        # Every k-th by rank leaves the best tenth the tenth that it is.
        by_rank = rows.sort_values(f"select_{objective.metric}", kind="stable")
        rows = by_rank.iloc[:: math.ceil(len(rows) / MOST)]
    rebuilt = rebuild(rows, objective, space)
    if not any(trial.params for trial in rebuilt.trials):
        return empty
    quantile = min(0.5, max(0.1, 5 / len(rows)))
    with warnings.catch_warnings():
        # A lone control that lacks a parameter is a regime of its own, which carries no weight.
        warnings.filterwarnings("ignore", message="Some regimes")
        shares = get_param_importances(rebuilt, evaluator=PedAnovaImportanceEvaluator(target_quantile=quantile))
    found = pd.DataFrame({"parameter": list(shares), "share": list(shares.values())}, columns=empty.columns)
    return found.sort_values("share", ascending=False).reset_index(drop=True)


def shares(study: StudyData, table: pd.DataFrame) -> dict[Objective, pd.DataFrame]:
    """The importances for each objective that has them; `table` is that of `tables.configurations`."""
    space = study.manifest.get("space", {})
    return {o: found for o in study.objectives if len(found := importance(space, table, o))}


def rebuild(rows: pd.DataFrame, objective: Objective, space: dict[str, BaseDistribution]) -> optuna.Study:
    """A one-objective Optuna study with a complete trial per configuration.

    Parameters that the space lacks, and values outside it (of controls), are left out of their trial.
    """
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # no line on the console for a study that is none
    study = optuna.create_study(direction="maximize" if objective.sign < 0 else "minimize")
    optuna.logging.set_verbosity(verbosity)
    for params, value in zip(rows["params"], rows[f"select_{objective.metric}"], strict=True):
        inside = {key: given for key, given in params.items() if key in space and contains(space[key], given)}
        study.add_trial(
            optuna.trial.create_trial(params=inside, distributions={k: space[k] for k in inside}, value=float(value))
        )
    return study


def charts(shares: Mapping[Objective, pd.DataFrame]) -> list[Chart]:
    if not shares:
        return []
    first = {o: naming.parameter(found["parameter"].iloc[0]) for o, found in shares.items()}
    said = "; ".join(f"{o.label}: most important is {name}" for o, name in first.items())
    return [Chart("importance", "", importance_figure(shares), said + ".")]


def importance_figure(shares: Mapping[Objective, pd.DataFrame]) -> go.Figure:
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
