"""What did not matter, and what to try next: each sentence is read off a table of this file."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis.study import epochs, naming, tables
from analysis.study.load import StudyData
from analysis.study.naming import Objective, count
from analysis.study.space import contains, distribution
from evae.search.job import CONFIRM
from evae.search.noise import beaten

LITTLE = 0.05  # share of the variance of ranks below which a parameter did not matter
EDGE = 0.1  # share of a range, at each end, that counts as its edge
LATE = 0.05  # share of the progress that, made in the last quarter of the epochs, calls for more of them
LOST = 0.1  # share of lost trials that calls for a look at the reasons
FLAT = 0.01  # growth of the hypervolume over the last third of configurations that counts as none


def idle(shares: Mapping[Objective, pd.DataFrame]) -> pd.DataFrame:
    """Rows (parameter, most): parameters that explain less than `LITTLE` of the ranks of each objective, which takes
    some hundred configurations to know; `most` is the largest limit of what they may (see `inference.bearing`).
    """
    if not shares:
        return pd.DataFrame(columns=["parameter", "most"])
    most = pd.concat(shares.values()).groupby("parameter", sort=False)["most"].max()
    return most[most < LITTLE].sort_values().reset_index()


def edges(described: Mapping[str, Any], front: pd.DataFrame) -> pd.DataFrame:
    """Rows (parameter, end, n, of): numeric parameters of which more than half of the searched configurations on the
    front, and three at least, lie at the same end ("low" or "high") of the range that was searched.
    """
    rows = []
    searched = front[front["on_front"] & front["label"].isna()] if len(front) else front
    for name, text in described.items():
        range_ = distribution(text)
        if range_ is None or not hasattr(range_, "low"):
            continue
        place = math.log if range_.log else float
        low, high = place(range_.low), place(range_.high)
        inside = [p[name] for p in searched["params"] if name in p and contains(range_, p[name])] if len(front) else []
        at = np.array([(place(value) - low) / (high - low) for value in inside])
        for end, n in (("low", int((at <= EDGE).sum())), ("high", int((at >= 1 - EDGE).sum()))):
            if n >= 3 and n > len(at) / 2:
                rows.append({"parameter": name, "end": end, "n": n, "of": len(at)})
    return pd.DataFrame(rows, columns=["parameter", "end", "n", "of"])


def contenders(table: pd.DataFrame, objective: Objective) -> pd.DataFrame:
    """The configurations that may be the best, by fresh seeds where there are any, else on the split that ranks: rows
    of `table`, the best by rank first. In 95 % of studies the best in truth is among them (`noise.beaten`); without
    replicates that may be any.
    """
    order = tables.judged(tables.best(table, objective))
    column = objective.metric if order["confirmed"].any() else f"select_{objective.metric}"
    means = objective.sign * order[column].to_numpy(float)
    return order[~beaten(means[:, None], [tables.noise_of(order, column)])] if len(order) else order


def late_progress(study: StudyData, metric: str = "val_distortion_nats") -> pd.DataFrame:
    """Rows (trial, share): how much of the fall of the best value so far came in the last quarter of the epochs.

    For finished trials of the search of eight epochs or more whose value fell.
    """
    curves = epochs.learning_curves(study, metric)
    curves = curves[curves["trial"].isin(study.searched.loc[study.searched["state"] == "finished", "trial"])]
    rows = []
    for trial, curve in curves.groupby("trial", sort=False):
        best = np.minimum.accumulate(curve[metric].to_numpy(float))
        if len(best) >= 8 and tables.differ(best):
            rows.append({"trial": trial, "share": (best[-1 - len(best) // 4] - best[-1]) / (best[0] - best[-1])})
    return pd.DataFrame(rows, columns=["trial", "share"])


def next_steps(
    study: StudyData,
    table: pd.DataFrame,
    front: pd.DataFrame,
    grown: pd.DataFrame,
    shares: Mapping[Objective, pd.DataFrame],
) -> pd.DataFrame:
    """Rows (kind, text): what did not matter and what to try next, the most telling first.

    `grown` is the growth of the front's hypervolume, `shares` are the importances of the parameters.
    """
    found: list[tuple[str, str]] = []
    for row in edges(study.manifest.get("space", {}), front).itertuples():
        words = f"{row.n} of {row.of} searched configurations on the front lie at the {row.end} end of the range of"
        how = "With a wider one in the space, the same command and --extend go on from what is trained"
        found.append(("edge", f"Widen the range: {words} {naming.parameter(row.parameter)}. {how}."))
    found += _noise(study, table)
    late = late_progress(study)
    if len(late) and late["share"].median() > LATE:
        text = f"{100 * late['share'].median():.0f} % of the fall of the validation distortion came in the last quarter"
        found.append(("epochs", f"Train longer: in the median trial {text} of the epochs. {_longer(study)}"))
    lost = tables.failures(study)
    if len(lost) and lost["n"].sum() > LOST * len(study.trials):
        text = f"{int(lost['n'].sum()):,} of {count(len(study.trials), 'trial')} gave no result, most often because of"
        found.append(("failures", f"Look into the failures: {text} “{lost['reason'].iloc[0]}”."))
    if len(grown) >= 9:
        growth = grown["share"].iloc[-1] - grown["share"].iloc[-1 - len(grown) // 3]
        text = f"the last third of the configurations added {100 * growth:.1f} % of the box to the front's hypervolume"
        found.append(
            ("search", f"{'More of the same search will hardly help' if growth < FLAT else 'Go on searching'}: {text}.")
        )
    spare = [naming.parameter(name) for name in idle(shares)["parameter"]]
    if spare:
        text = f"{', '.join(spare)}: explains less than {100 * LITTLE:.0f} % of the ranks in any objective by itself"
        found.append(("idle", f"Did not matter within the ranges searched, and can be held fixed: {text}."))
    return pd.DataFrame(found, columns=["kind", "text"])


def _longer(study: StudyData) -> str:
    """The command that trains for more epochs, and from where on it does."""
    options = study.manifest.get("options", {})
    epochs = f" {2 * options['epochs']}, for example," if isinstance(options.get("epochs"), int) else ""
    if options.get("keep") == "states":
        then = "goes on from the kept states of finished trials, where the schedule does not end with the last epoch"
        return f"The same command with --extend --epochs{epochs} {then}."
    then = "trains finished trials anew, and keeps what the next such step goes on from"
    return f"The same command with --extend --keep states --epochs{epochs} {then}."


def _noise(study: StudyData, table: pd.DataFrame) -> list[tuple[str, str]]:
    if not len(tables.ranked(table, study.objectives)):
        return []
    judged = tables.judged(tables.ranked(table, study.objectives))
    confirmed = judged["confirmed"].any()
    if judged["n"].max() < 2:
        how = f"Go on with --extend {'--confirm' if confirmed else '--seeds'} 2 or more"
        return [("noise", f"{how}: with one seed each, no difference can be told from noise.")]
    # Seeds do not tell apart what has one value everywhere.
    varying = [o for o in study.objectives if tables.differ(tables.ranked(table, [o])[f"select_{o.metric}"])]
    close = [(len(contenders(table, objective)) - 1, objective.label) for objective in varying]
    said = [f"{count(n, 'other configuration')} in {label}" for n, label in close if n > 0]
    if not said:
        return []
    text = f"{' and '.join(said)} may be the best as well; four times the seeds halve the intervals"
    had = study.trials[study.trials["role"] == CONFIRM].groupby("configuration").size()
    if confirmed:
        how = f"Add fresh seeds, with --extend --confirm {had.max() + 1} or more"
    else:
        how = f"Add seeds, with --extend --seeds {int(study.searched['seed'].max()) + 2} or more"
    return [("noise", f"{how}: {text}.")]
