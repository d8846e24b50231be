"""What a study found, as tables: pure functions from its data to data frames, each drawn by one figure.

Configurations are ranked by what the search saw (validation split, columns `select_*`) and described by what it did not
see: the test split, and fresh seeds where they have some, so that the best of many is not flattered by its own luck.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pandas as pd

from analysis.study.load import StudyData, metric_columns, parse
from analysis.study.naming import (
    Objective,
    is_gap,
)
from evae.metrics.cost import EXACT
from evae.search import noise
from evae.search.job import CONFIRM
from evae.search.noise import BLOCK, ERROR, ROUNDING, Noise, beaten
from evae.search.objectives import DIVERGENCES
from evae.search.pareto import dominates

GOOD = ("finished", "running", "stopped")
"""States of trials that nothing went wrong with; "stopped" is one that the scheduler ended early."""


def differ(values: Iterable[float]) -> bool:
    """Whether finite values differ by more than rounding; of what does not differ nothing can be found to depend."""
    known = np.asarray(list(values), float)
    return bool(len(known)) and bool(np.ptp(known) > ROUNDING * np.abs(known).max())


def spreading(trials: pd.DataFrame, column: str) -> pd.Series:
    """The values whose spread between seeds gives the intervals of `column`: its own, but of a sharpness gap the ratio
    of the sharpness to real images' where both are known, turned round where a configuration is below real images, so
    that differences have the gap's sign.

    The gap |ratio - 1| spreads as the ratio does, which grows with the ratio: images of 0.1 and of 1.9 times the
    sharpness have the same gap and very different spreads.
    """
    raw, real = ratio_columns(column)
    if not (is_gap(column) and {raw, real} <= set(trials)):
        return trials[column]
    ratio = trials[raw] / trials[real]
    return ratio.where(ratio.groupby(trials["configuration"]).transform("mean") > 1, -ratio)


def ratio_columns(gap: str) -> tuple[str, str]:
    """Names of the sharpness and of real images' sharpness from which a gap was taken, on its split."""
    return gap.removesuffix("_gap"), f"{'val_' if gap.startswith('val_') else ''}real_sharpness"


def against_real(row: Mapping[str, Any], metric: str) -> float:
    """A configuration's mean sharpness in units of real images', for a sharpness or its gap; NaN where unknown."""
    raw, real = ratio_columns(metric)
    ratio = row.get(raw, math.nan) / (row.get(real, math.nan) or math.nan) if raw.endswith("_sharpness") else math.nan
    return float(ratio)


def confirms(study: StudyData) -> pd.Series:
    """Which trials confirm their configuration: finished ones with a fresh seed that have a finite value of every
    objective, and as many epochs as those of the search, which more may have been asked of since. None where no session
    confirmed what was chosen: its fresh seeds are those of configurations that claims name.
    """
    trials = study.trials
    for_claims = [options.get("confirm") == 0 and not options.get("until") for options in sessions_options(study)]
    confirms = not (for_claims and all(for_claims))
    fresh = (trials["role"] == CONFIRM) & (trials["state"] == "finished") & confirms
    if not fresh.any():
        return fresh
    own = (trials["role"] != CONFIRM) & (trials["state"] == "finished")
    planned = trials["epochs_planned"].where(own).groupby(trials["configuration"]).transform("max")
    finite = np.isfinite(trials[[o.metric for o in study.objectives]].astype(float)).all(axis=1)
    return fresh & finite & ~(trials["epochs_planned"] < planned)


def sessions_options(study: StudyData) -> list[dict[str, Any]]:
    """The options of each session; empty where they cannot be read."""
    return [parse(text, {}) for text in study.sessions["options"]]


def shown(study: StudyData) -> pd.DataFrame:
    """The trials that values are taken over: those that confirm their configuration, and all of the search where there
    are none. One or the other: what was chosen for its luck would flatter the mean of both.
    """
    fresh = confirms(study)
    confirmed = study.trials["configuration"].isin(study.trials.loc[fresh, "configuration"])
    return study.trials[fresh | (~confirmed & (study.trials["role"] != CONFIRM))]


def configurations(study: StudyData) -> pd.DataFrame:
    """One row per configuration, in order of suggestion.

    Columns: configuration, number, name, origin, label, control (a known model to compare with, neither searched nor a
    point of a grid), method, kernel, params (dict), confirmed (by fresh seeds), trial (its first finished one), rate_is
    (of that one), keeps (whether it keeps to all constraints), n_trials, n (finished seeds), n_lost (seeds that
    something went wrong with), n_searched (finished seeds of the search), the mean over seeds of every metric, and for
    each objective `<metric>_sd`, `<metric>_n`, `<metric>_half` (half a 95 % interval), `<metric>_chosen` (half an
    interval that holds for one chosen for its value, too: that in which all configurations' means are together, or of
    fresh seeds the same as `_half`), `<metric>_error`, `<metric>_freedom` and the other parts of `noise.Noise`.

    Where a configuration is confirmed all of this is of its fresh seeds alone. Of the search's are `select_<metric>`
    and its noise (the mean on the split that ranks), and `searched_<metric>` (that on the test split). The
    intervals are NaN where no configuration has replicates.
    """
    trials, counted, fresh = study.trials, shown(study), confirms(study)
    finished = counted[counted["state"] == "finished"].groupby("configuration")
    searched = study.searched[study.searched["state"] == "finished"].groupby("configuration")
    first = trials.groupby("configuration", sort=False).head(1).set_index("configuration")
    params = first["params"].map(lambda text: parse(text, {}))
    kernel = first["kernel"]
    table = pd.DataFrame(
        {
            "number": first["number"],
            "name": [name(*of) for of in zip(first["label"], first["number"], kernel, first["method"], strict=True)],
            "origin": first["origin"].fillna("searched"),
            "label": first["label"],
            "control": first["label"].notna() & (first["origin"] != "grid"),
            "method": first["method"],
            "kernel": kernel,
            "params": params,
            "confirmed": first.index.isin(trials.loc[fresh, "configuration"]),
            "trial": finished["trial"].first().reindex(first.index),
            "rate_is": finished["rate_is"].first().reindex(first.index),
            "n_trials": trials.groupby("configuration").size(),
            "n": finished.size().reindex(first.index, fill_value=0),
            "n_lost": (~trials["state"].isin(GOOD)).groupby(trials["configuration"]).sum(),
            "n_searched": searched.size().reindex(first.index, fill_value=0),
        },
        index=first.index,
    )
    metrics = dict.fromkeys([*metric_columns(trials), *(o.metric for o in study.objectives)])
    table = table.join(finished[list(metrics)].mean())
    for o in study.objectives:
        value, selection = finished[o.metric], searched[study.selection_column(o)]
        table[f"{o.metric}_sd"] = value.std()
        table[f"{o.metric}_n"] = value.count().reindex(first.index, fill_value=0)
        table[f"select_{o.metric}"], table[f"searched_{o.metric}"] = selection.mean(), searched[o.metric].mean()
        spread = noise_of_means(counted, o.metric)
        table = table.join(spread.add_prefix(f"{o.metric}_"))
        table = table.join(noise_of_means(study.searched, study.selection_column(o)).add_prefix(f"select_{o.metric}_"))
        table[f"{o.metric}_half"] = half = half_of(spread)
        together = noise_of(table, o.metric).half(ERROR / 2 / max(1, value.mean().notna().sum()))
        table[f"{o.metric}_chosen"] = np.where(table["confirmed"], half.reindex(table.index), together)
    return _together(table.assign(keeps=_keeps(study)).reset_index())


def _together(table: pd.DataFrame) -> pd.DataFrame:
    """The same table. Where many columns came one after the other, pandas warns of each more until it is copied."""
    return table.copy()


def _keeps(study: StudyData) -> pd.Series:
    """Which configurations keep to all constraints, by the search's seeds: on the split that ranks."""
    finished = study.searched[study.searched["state"] == "finished"]
    found = pd.Series(True, study.trials["configuration"].unique())
    for each in study.constraints:
        column = study.selection_column(Objective(each.metric, "min" if each.most else "max"))
        if column in finished:
            means = finished.groupby("configuration")[column].mean()
            found &= means.map(each.violation).reindex(found.index) <= 0
    return found


def by_search(study: StudyData, *given: pd.DataFrame) -> list[pd.DataFrame]:
    """The `given` rows of `configurations` with the values that they have by the search's seeds: where all
    configurations are looked at alike, fresh seeds would give some another weight, and another luck, than the rest.
    """
    if not any(table["confirmed"].any() for table in given):
        return list(given)
    own = configurations(replace(study, trials=study.searched)).set_index("configuration")
    same = ("hover", "on_front", "chosen", "dominated_within_noise", "confirmed", "configuration")
    searched = [
        {c: own[c].reindex(table["configuration"]).to_numpy() for c in table if c not in same} for table in given
    ]
    return [_together(table.assign(**values)) for table, values in zip(given, searched, strict=True)]


def judged(table: pd.DataFrame) -> pd.DataFrame:
    """The configurations that differences and the front are of: the confirmed ones where there are any, else all."""
    return table[table["confirmed"]] if table["confirmed"].any() else table


def noise_of_means(trials: pd.DataFrame, column: str) -> pd.DataFrame:
    """The parts of `noise.Noise`, as columns, of a metric's mean over the finite values of each configuration's
    finished trials, by configuration. Methods and kernels, where the trials have such columns, may differ in their
    spread."""
    # A study has a hundred columns, of which few are needed: to filter and copy the others takes most of the time.
    needed = {"configuration", "seed", "method", "kernel", column, *ratio_columns(column)}
    done = trials.loc[trials["state"] == "finished", [name for name in trials if name in needed]]
    done = done.reindex(columns=[*done, *{"seed", "method", "kernel"}.difference(done)])
    values = spreading(done, column).astype(float)
    # Where seeds are not recorded: by their order, of which the model finds that they share nothing.
    seed = done["seed"]
    if seed.isna().any():
        seed = seed.fillna(done.groupby("configuration").cumcount())
    values = values.where(np.isfinite(values)).groupby([done["configuration"], seed]).mean().unstack()
    if column.removeprefix("val_") in EXACT:  # the same at every seed, whether there is one or more
        values = pd.concat([values.mean(axis=1)] * 2, axis=1)
    of = done.drop_duplicates("configuration").set_index("configuration").loc[values.index]
    found = noise.of(values.to_numpy(float), list(zip(of["method"], of["kernel"], strict=True)))
    return pd.DataFrame({name: list(part) for name, part in vars(found).items()}, index=values.index)


def half_of(means: pd.DataFrame) -> pd.Series:
    """Half a 95 % interval of each mean whose noise these are, as `noise_of_means` has it."""
    return pd.Series(noise_of(means.add_prefix("mean_"), "mean").half(ERROR / 2), means.index)


def noise_of(table: pd.DataFrame, column: str) -> Noise:
    """The noise of `<metric>` or `select_<metric>` in rows of `configurations`."""
    parts = {field.name: table[f"{column}_{field.name}"] for field in fields(Noise)}
    # A configuration without a finished trial has no seeds.
    seeds = [part if np.ndim(part) else np.array([]) for part in parts.pop("seeds")]
    each = np.full((len(table), max(map(len, seeds), default=0)), np.nan)
    for row, part in zip(each, seeds, strict=True):
        row[: len(part)] = part
    return Noise(**{name: part.to_numpy(float) for name, part in parts.items()}, seeds=each)


def name(label: str | None, number: float, *families: object) -> str:
    """What the report calls a configuration: its label, or number and family ("#17 epanechnikov")."""
    if label:
        return label
    family = next((f for f in families if isinstance(f, str)), "")
    return f"#{int(number) if math.isfinite(number) else '?'} {family}".strip()


def ranked(table: pd.DataFrame, objectives: list[Objective]) -> pd.DataFrame:
    """The configurations that have a finite value of every objective, on both splits, and one that compares, and that
    keep to the study's constraints."""
    needed = [c for o in objectives for c in (o.metric, f"select_{o.metric}")]
    if not needed:
        return table.iloc[:0]
    known = np.isfinite(table[needed].astype(float)).all(axis=1) & compares(table, objectives)
    return table[known & table["keeps"]] if "keeps" in table else table[known]


def compares(table: pd.DataFrame, objectives: Iterable[Objective]) -> pd.Series:
    """Which configurations' values of these objectives mean the same as others': all, but of a rate those that are the
    KL divergence (or of which that is not recorded). A bound in some paper's sense is another quantity.
    """
    if "rate_is" not in table or all(o.metric != "rate_nats" for o in objectives):
        return pd.Series(True, table.index)
    return table["rate_is"].isna() | table["rate_is"].isin(DIVERGENCES)


def front(table: pd.DataFrame, objectives: list[Objective]) -> pd.DataFrame:
    """The ranked configurations with three more columns: `on_front` (non-dominated), `dominated_within_noise`, and
    `chosen` (non-dominated by what the search saw).

    A configuration is dominated when another is at least as good in every objective and better in one. It is
    dominated only within noise when the noise is known and no other is ahead of it by more than that: one that is on
    the front in truth is dominated beyond noise with a probability of 5 % at most (`noise.beaten`).

    Where there is confirmation, the front is one of the confirmed configurations, by their fresh seeds.
    """
    table = ranked(table, objectives)
    among, fresh = judged(table), table["confirmed"].any()
    columns = [o.metric if fresh else f"select_{o.metric}" for o in objectives]
    means = signed(among, objectives, columns)
    noises = [noise_of(among, column) for column in columns]
    dominated, known = _dominated(means), any(np.isfinite(noise.error).any() for noise in noises)
    within = dominated & ~beaten(means, noises) if known else np.zeros(len(among), bool)
    found = {"on_front": among.index[~dominated], "dominated_within_noise": among.index[within]}
    table = table.assign(**{name: table.index.isin(index) for name, index in found.items()})
    if not fresh:
        return table.assign(chosen=table["on_front"])
    searched = signed(table, objectives, [f"select_{o.metric}" for o in objectives])
    return table.assign(chosen=~_dominated(searched))


def signed(table: pd.DataFrame, objectives: Sequence[Objective], columns: Sequence[str]) -> np.ndarray:
    """(n, objectives) values of these columns, all to be minimised."""
    values = np.empty((len(table), len(objectives)))
    for k, (o, column) in enumerate(zip(objectives, columns, strict=True)):
        values[:, k] = o.sign * table[column]
    return values


def _dominated(means: np.ndarray) -> np.ndarray:
    """(n,) booleans: which of (n, objectives) means another one dominates."""
    found = np.zeros(len(means), bool)
    for j in range(0, len(means), BLOCK):
        some = slice(j, j + BLOCK)
        found[some] = dominates(means, means[some]).any(axis=0)
    return found


def best(table: pd.DataFrame, objective: Objective) -> pd.DataFrame:
    """The configurations from best to worst on the split that ranks."""
    ranked_by_it = ranked(table, [objective])
    order = (objective.sign * ranked_by_it[f"select_{objective.metric}"]).sort_values(kind="stable").index
    return ranked_by_it.loc[order]


def failures(study: StudyData) -> pd.DataFrame:
    """Trials that something went wrong with, by state and reason: state, reason, n, trials (names), traced (the first
    trial whose stack trace was kept, "" where none was); most first.
    """
    lost = study.trials[~study.trials["state"].isin(GOOD)]
    lost = lost.assign(state=lost["state"].fillna("unknown"))
    lost = lost.assign(reason=lost["reason"].map(lambda reason: reason or "no reason recorded"))
    rows = [
        {
            "state": state,
            "reason": reason,
            "n": len(group),
            "trials": list(group["trial"]),
            "traced": next(iter(group.loc[group["traceback"].notna(), "trial"]), ""),
        }
        for (state, reason), group in lost.groupby(["state", "reason"])
    ]
    found = pd.DataFrame(rows, columns=["state", "reason", "n", "trials", "traced"])
    return found.sort_values("n", ascending=False)


def real_sharpness(study: StudyData) -> float:
    """Mean sharpness of the real test images; NaN when no trial measured it."""
    return float(study.trials["real_sharpness"].mean()) if "real_sharpness" in study.trials else math.nan
