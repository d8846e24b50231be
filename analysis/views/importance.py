"""Which searched parameters decide each objective: PED-ANOVA on a study rebuilt from the store."""

import math
import warnings
from collections.abc import Mapping
from typing import Any

import optuna
import pandas as pd
import plotly.graph_objects as go
from optuna.distributions import BaseDistribution

from analysis.study import inference, naming
from analysis.study.load import StudyData
from analysis.study.naming import Objective
from analysis.study.space import contains, distribution
from analysis.study.tables import ROUNDING, ranked
from analysis.views import theme
from analysis.views.drawing import Chart, figure
from evae.search.variance import labels

FEWEST = 10  # configurations below which a tenth, the best that PED-ANOVA looks at, is less than one
PALE = 0.3  # opacity of the bar of a parameter that is not told from chance
MOST = 1_000  # configurations beyond which every k-th is left: Optuna copies each trial several times


def importance(described: dict[str, Any], table: pd.DataFrame, objective: Objective) -> pd.DataFrame:
    """Rows (parameter, share, told, most) for one objective, largest first, shares adding up to one; `described` is the
    space as in the manifest.

    `told` says whether a parameter bears on the objective by more than chance, wrongly of any in 5 % of studies where
    none does; `most` is what it explains of the variance of the ranks by itself, at most, with a confidence of 95 %
    (both: `inference.bearing`). Shares alone say neither: of pure noise the largest is about a half.

    Watanabe et al., PED-ANOVA, arXiv 2304.10255; its extension to conditional parameters, arXiv 2601.20800.
    Of more than `MOST` configurations, every k-th by rank takes part. The share says how much a parameter decides
    whether a configuration is among the best tenth (at least five of them).

    Empty where nothing can be known: below ten configurations, where the best tenth has no better values than most of
    the others, and where fewer than two parameters took different values (one alone would have all of 100 %).
    """
    empty = pd.DataFrame(columns=["parameter", "share", "told", "most"])
    rows = ranked(table, [objective])
    if len(rows) < FEWEST:
        return empty
    values = objective.sign * rows[f"select_{objective.metric}"]
    if len(rows) > MOST:
        # Every k-th by rank leaves the best tenth the tenth that it is.
        values = values.sort_values(kind="stable").iloc[:: math.ceil(len(rows) / MOST)]
        rows = rows.loc[values.index]
    quantile = min(0.5, max(0.1, 5 / len(rows)))
    space = varied({name: d for name, text in described.items() if (d := distribution(text))}, rows)
    if len(space) < 2 or not stand_out(values, quantile):
        return empty
    # Takes more than a second, for the sake of an evaluator that is not asked.
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    with warnings.catch_warnings():
        # A lone control that lacks a parameter is a regime of its own, which carries no weight.
        warnings.filterwarnings("ignore", message="Some regimes")
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        evaluator = PedAnovaImportanceEvaluator(target_quantile=quantile)
        # Left to make shares of them, Optuna gives each the same where all are zero.
        found = get_param_importances(rebuild(rows, objective, space), evaluator=evaluator, normalize=False)
    total = sum(found.values())
    if not total > 0:
        return empty
    given = [labels([_inside(params, name, space) for params in rows["params"]]) for name in found]
    told, most = inference.bearing(given, values.loc[rows.index].to_numpy(float))
    columns = {"parameter": list(found), "share": [value / total for value in found.values()], "told": told}
    shares = pd.DataFrame(columns | {"most": most})
    return shares.sort_values("share", ascending=False).reset_index(drop=True)


def _inside(params: Mapping[str, Any], name: str, space: Mapping[str, BaseDistribution]) -> Any:
    """The value of a parameter; None where it has none, or one outside the space."""
    return params[name] if name in params and contains(space[name], params[name]) else None


def stand_out(values: pd.Series, quantile: float) -> bool:
    """Whether the best `quantile` of values, to be minimised, is better than half of them by more than rounding."""
    last_of_best = values.nsmallest(math.ceil(quantile * len(values))).iloc[-1]
    return (values <= last_of_best + ROUNDING * values.abs().max()).mean() <= 0.5


def varied(space: Mapping[str, BaseDistribution], rows: pd.DataFrame) -> dict[str, BaseDistribution]:
    """The parameters that took two values of the space or more."""
    found = {}
    for name, of in space.items():
        taken = {str(params[name]) for params in rows["params"] if name in params and contains(of, params[name])}
        if len(taken) > 1:
            found[name] = of
    return found


def shares(study: StudyData, table: pd.DataFrame) -> dict[Objective, pd.DataFrame]:
    """The importances for each objective that has them; `table` is that of `tables.configurations`."""
    space = study.manifest.get("space", {})
    return {o: found for o in study.objectives if len(found := importance(space, table, o))}


def rebuild(rows: pd.DataFrame, objective: Objective, space: Mapping[str, BaseDistribution]) -> optuna.Study:
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
    each = []
    for o, found in shares.items():
        told = [naming.parameter(name) for name in found.loc[found["told"], "parameter"]]
        each.append(f"{o.label}: {'told from chance: ' + ', '.join(told) if told else 'nothing is told from chance'}")
    note = (
        "Pale bars are not told from chance: where no parameter bears on the objective, one is told by mistake in 5 % "
    )
    note += f"of studies. {'; '.join(each)}. {limits(shares)}"
    return [Chart("importance", "", importance_figure(shares), "; ".join(each) + ".", note)]


def limits(shares: Mapping[Objective, pd.DataFrame]) -> str:
    """How little the parameters that are not told from chance may be known to explain."""
    rest = pd.concat(shares.values())
    most = rest.loc[~rest["told"].astype(bool), "most"]
    if not len(most):
        return ""
    least, worst = (f"{100 * value:.0f}" for value in (most.min(), most.max()))
    return (
        f"Each of the others may explain up to {f'{least} to ' if least != worst else ''}{worst} % of the variance of "
        "the ranks by itself, with a confidence of 95 %."
    )


def _limit(most: float) -> str:
    return f", of the ranks' variance at most {100 * most:.0f} %" if most < 1 else ""


def importance_figure(shares: Mapping[Objective, pd.DataFrame]) -> go.Figure:
    """Share of each parameter per objective, as bars side by side."""
    total = pd.concat(shares.values()).groupby("parameter")["share"].sum().sort_values()
    drawn = figure("share of importance (PED-ANOVA, %)", "parameter", height=150 + 36 * len(total), barmode="group")
    for (objective, table), colour in zip(shares.items(), theme.COLOURS, strict=False):
        table = table.set_index("parameter").reindex(total.index)
        share = table["share"].fillna(0)
        drawn.add_bar(
            x=100 * share,
            y=[naming.parameter(p) for p in share.index],
            orientation="h",
            name=objective.label,
            marker=dict(color=colour, opacity=[1.0 if told is True else PALE for told in table["told"]]),
            hovertext=[_limit(most) for most in table["most"]],
            hovertemplate="%{y}: %{x:.0f} %%{hovertext}<extra>" + objective.label + "</extra>",
        )
    drawn.update_layout(legend_traceorder="reversed")
    return drawn
