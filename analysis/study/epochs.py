"""A study's epochs as tables: learning curves, and where the scheduler compared trials and ended some."""

import numpy as np
import pandas as pd

from analysis.study import naming
from analysis.study.load import StudyData
from evae.search import hindsight
from evae.search.rungs import RULES, Rungs, rung_epochs

EVERY_EPOCH = ("val_distortion_nats", "val_rate_nats")
"""What training measures after each epoch, early stopping or not."""


def learning_curves(study: StudyData, metric: str) -> pd.DataFrame:
    """Rows trial, configuration, epoch and `metric` wherever the epoch's value is finite."""
    columns = ["trial", "configuration", "epoch"]
    if metric not in study.epochs:
        return pd.DataFrame(columns=[*columns, metric])
    curves = study.epochs[[*columns, metric]]
    return curves[np.isfinite(curves[metric].astype(float))].reset_index(drop=True)


def stops(study: StudyData) -> pd.DataFrame:
    """Trials that the scheduler ended early: trial, configuration, epochs (the rung they got to), epochs_planned."""
    stopped = study.trials[study.trials["state"] == "stopped"]
    return stopped[["trial", "configuration", "epochs", "epochs_planned"]].reset_index(drop=True)


def rungs(study: StudyData) -> pd.DataFrame:
    """Epochs after which the scheduler compared trials: epoch, judged (trials whose objectives were measured then) and
    stopped (those that it ended there). Between epochs, an objective that training does not measure anyway is measured
    for this alone.
    """
    columns = [f"val_{o.metric}" for o in study.objectives if f"val_{o.metric}" in study.epochs]
    own = [column for column in columns if column not in EVERY_EPOCH]
    measured = study.epochs[study.epochs[own or columns].notna().any(axis=1)] if columns else study.epochs.iloc[:0]
    if columns and not own:
        measured = measured[_at_rungs(study, measured)]
    judged, ended = measured.groupby("epoch").size(), stops(study).groupby("epochs").size()
    table = pd.DataFrame({"judged": judged, "stopped": ended}).fillna(0).astype(int).rename_axis("epoch").reset_index()
    # A rung of an older store, which did not keep what was measured there, has judged those that it stopped at least.
    return table.assign(judged=table[["judged", "stopped"]].max(axis=1))


def _at_rungs(study: StudyData, epochs: pd.DataFrame) -> pd.Series:
    """Which rows of `study.epochs` are of a trial's rungs, by its planned epochs; only first replicates have any."""
    trials = study.trials[study.trials["seed"] == 0].set_index("trial")
    planned = epochs["trial"].map(trials["epochs_planned"][~trials.index.duplicated()])
    stops_early = study.manifest.get("options", {}).get("early_stopping", "none") != "none"
    at = {n: set(rung_epochs(int(n))) for n in planned.dropna().unique()} if stops_early else {}
    each = [epoch in at.get(n, ()) for epoch, n in zip(epochs["epoch"], planned, strict=True)]
    return pd.Series(each, epochs.index, dtype=bool)


def foresight(study: StudyData) -> list[str]:
    """What the rungs were found to see at the end of the study, a sentence each; none where nothing is known."""
    rule, planned = study.manifest.get("options", {}).get("early_stopping"), study.searched["epochs_planned"].max()
    searched = [(f"val_{o.metric}", o.direction) for o in study.objectives]
    if rule not in RULES or not all(metric in study.epochs and metric in study.trials for metric, _ in searched):
        return []
    rungs = Rungs(rule, int(planned), searched)
    at, ended = study.epochs[study.epochs["epoch"].isin(rungs.epochs)], study.searched
    rungs.take_over(*(each.astype(object).where(each.notna(), None).to_dict("records") for each in (at, ended)))
    said = (rungs.sentence(epoch, lambda metric: naming.label(metric.removeprefix("val_"))) for epoch in rungs.epochs)
    return [*filter(None, [*said, hindsight.sentence(rungs)])]
