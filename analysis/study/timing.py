"""Where the machine's time went: shares of slots x wall time, and which worker did what when."""

import math

import pandas as pd

from analysis.study.load import StudyData

ACTIVITIES = {"train_s": "training", "evaluate_s": "evaluating", "launch_s": "launching"}


def timing(study: StudyData) -> pd.DataFrame:
    """Rows (activity, seconds, share) of slots x wall time over all sessions: training, evaluating,
    launching, idle.

    "idle" is what is left: waiting for work, writing results. Seconds of a trial that did not finish come
    from its epochs. Empty when slots, wall time or the seconds of training are not known.
    """
    capacity = sum(s["slots"] * (s["end"] - s["start"]) for s in sessions(study) if math.isfinite(s["slots"]))
    trials = study.trained_here
    epochs = study.epochs[study.epochs["trial"].isin(trials["trial"])]
    known = trials["train_s"].notna().any() or epochs["train_s"].notna().any()
    if not capacity > 0 or not known:
        return pd.DataFrame(columns=["activity", "seconds", "share"])
    by_trial = epochs.groupby("trial")[["train_s", "evaluate_s"]].sum()
    spent = {}
    for column, activity in ACTIVITIES.items():
        seconds = trials[column]
        if column in by_trial:
            seconds = seconds.fillna(per_trial(by_trial[column], trials))
        spent[activity] = float(seconds.sum())
    spent["idle"] = max(0.0, capacity - sum(spent.values()))
    total = sum(spent.values())
    return pd.DataFrame([{"activity": a, "seconds": s, "share": s / total} for a, s in spent.items()])


def per_trial(values: pd.Series, trials: pd.DataFrame) -> pd.Series:
    """`values`, which are indexed by trial, in the rows of `trials`; missing where a trial has none."""
    return values.reindex(trials["trial"]).set_axis(trials.index)


def sessions(study: StudyData) -> list[dict[str, float]]:
    """For each session: `began` (timestamp), `start` and `end` in seconds of the study's own clock, and
    `slots`.

    The clock stops between sessions, so that a study resumed a week later has no gap of a week. A session
    without a recorded end lasts until the last sign of life before the next one began.
    """
    found, clock = [], 0.0
    known = study.sessions[study.sessions["started_at"].notna()].sort_values("started_at")
    begins = list(known["started_at"])
    signs = _signs_of_life(study)
    for i, (_, row) in enumerate(known.iterrows()):
        length = row["wall_s"]
        if not math.isfinite(length):
            until = begins[i + 1] if i + 1 < len(begins) else pd.Timestamp.max.tz_localize("UTC")
            inside = signs[(signs >= row["started_at"]) & (signs < until)]
            length = (inside.max() - row["started_at"]).total_seconds() if len(inside) else 0.0
        found.append({"began": row["started_at"], "start": clock, "end": clock + length, "slots": row["slots"]})
        clock += length
    return found


def wall_seconds(study: StudyData) -> float:
    """Wall time of all sessions together."""
    return sum(s["end"] - s["start"] for s in sessions(study))


def _signs_of_life(study: StudyData) -> pd.Series:
    own = study.trained_here
    frames = own, study.epochs[study.epochs["trial"].isin(own["trial"])]
    times = [frame[column] for frame in frames for column in ("started_at", "ended_at")]
    return pd.concat(times).dropna()
