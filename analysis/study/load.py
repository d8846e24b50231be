"""From a study's Parquet files to data frames in which every expected column exists.

from analysis.study.load import load
study = load("results/kernel-sweep")
study.trials[["trial", "state", "gen_sharpness"]]
"""

import json
import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from analysis.study import columns
from analysis.study.naming import Objective, is_accuracy, is_distance, know, of_kind
from evae.errors import UserError
from evae.results.places import redacted, shown
from evae.results.store import SCHEMAS, Store, StoreError
from evae.search.constraints import Constraint
from evae.search.job import CONFIRM, SEARCH

TAKEN = ("taken_study", "taken_from", "taken_trial")
"""Columns of a trial that another study has trained."""
TEXT = {
    "study": [
        "session",
        "study",
        "question",
        "state",
        "command",
        "options",
        "space",
        "objectives",
        "claims",
        "constraints",
        "git_commit",
        "packages",
        "hardware",
        "data",
        "identity",
    ],
    "trials": [
        "study",
        "trial",
        "configuration",
        "origin",
        "label",
        "role",
        "state",
        "reason",
        "traceback",
        "method",
        "params",
        "recipe",
        "slot",
        "device",
        "precision",
        "processor",
        "stepped",
        "rate_is",
        "code_shape",
        "distances",
        *TAKEN,
    ],
    "epochs": ["trial", "configuration"],
}
NUMBERS = {
    "study": ["wall_s", "slots", "schema_version"],
    "trials": [
        "number",
        "seed",
        "epochs",
        "epochs_planned",
        "train_s",
        "evaluate_s",
        "launch_s",
        "wall_s",
        "restarts",
        "parameters",
        "images_per_s",
        "threads",
        "workers",
        "lanes",
    ],
    "epochs": ["seed", "epoch", "val_distortion_nats", "val_rate_nats", "train_s", "evaluate_s"],
}
TIMES = {name: ["started_at", "ended_at"] for name in TEXT}
LISTS = {"study": [], "trials": ["rate_per_latent", "rate_per_channel"], "epochs": []}
FLAGS = {"study": ["git_dirty"], "trials": [], "epochs": []}
READ = (
    (TEXT, columns.texts),
    (NUMBERS, columns.numbers),
    (TIMES, columns.times),
    (LISTS, columns.lists),
    (FLAGS, columns.flags),
)
COSTS = ("parameters", "encoder_", "decoder_", "encode_", "decode_", "step_")
"""How the columns of what a model costs begin."""
OF_A_PRIOR = ("rate_nats", "rate_per_latent", "rate_per_channel", "active_units", "aggregate_w1")
"""Metrics of those posteriors alone that have one."""


@dataclass(frozen=True, kw_only=True)
class StudyData:
    """A study as it lies in the store; `notes` say what could not be read or had to be assumed."""

    location: str
    name: str
    manifest: dict[str, Any]  # the newest session, its JSON columns parsed
    sessions: pd.DataFrame
    trials: pd.DataFrame
    epochs: pd.DataFrame
    objectives: list[Objective]
    store: Store
    notes: list[str] = field(default_factory=list)

    @property
    def running(self) -> bool:
        return self.manifest.get("state") == "running"

    @property
    def searched(self) -> pd.DataFrame:
        """The trials that the search chose by: all but those with fresh seeds."""
        return self.trials[self.trials["role"] != CONFIRM]

    @property
    def trained_here(self) -> pd.DataFrame:
        """The trials that this study has trained itself: all but those that it took from others."""
        return self.trials[self.trials["taken_study"].isna()]

    @property
    def ranked_by_validation(self) -> bool:
        """Whether every objective was measured on the validation split too; else the test split ranks."""
        return all(self.selection_column(o) != o.metric for o in self.objectives)

    def selection_column(self, objective: Objective) -> str:
        """The column that ranks configurations: what the search saw, so that test values stay unbiased."""
        column = f"val_{objective.metric}"
        return column if column in self.trials and self.trials[column].notna().any() else objective.metric

    @property
    def constraints(self) -> list[Constraint]:
        """What configurations had to keep to; none where that cannot be read."""
        names = {"text": str, "metric": str, "most": bool, "limit": (int, float)}
        given = [one for one in self.manifest.get("constraints", []) if isinstance(one, dict)]
        fine = [one for one in given if all(isinstance(one.get(name), kind) for name, kind in names.items())]
        return [Constraint(**{name: one[name] for name in names}) for one in fine]

    def pictures(self, trial: str) -> list[dict[str, Any]]:
        """The rows of one trial's pictures, since a study has too many to hold; empty if unreadable."""
        try:
            return [row for row in self.store.rows("images", trial) if row.get("png") and row.get("kind")]
        except StoreError:
            return []

    def clouds(self, trial: str) -> list[dict[str, Any]]:
        """The rows of what a trial has left of a model of points; empty if there are none, or unreadable."""
        try:
            return [row for row in self.store.rows("clouds", trial) if row.get("kind")]
        except StoreError:
            return []


def load(results: str | os.PathLike[str] | Store) -> StudyData:
    """Read a study's results, by their place or their store, which may be unfinished or damaged.

    A trial that was still running when its study ended is "interrupted". Raises UserError when the place
    holds no study at all.
    """
    store = results if isinstance(results, Store) else Store(results)
    sessions, trials, epochs = (_frame(store, kind) for kind in ("study", "trials", "epochs"))
    if sessions.empty and trials.empty and not store.unreadable:
        raise UserError(
            f"no study in {store.location!r}: expected Parquet files in its folders study/ and trials/. "
            "Give the results folder of a study, for example results/kernel-sweep."
        )
    notes = [f"{name} could not be read and was left out." for name in store.unreadable]
    sessions = sessions.sort_values("session", na_position="first").reset_index(drop=True)
    manifest = _manifest(sessions)
    know(manifest.get("metrics", {}))
    of_kind(manifest.get("data", {}).get("kind", "images"))
    if not manifest:
        notes.append("The study's manifest is missing: its question, command and objectives are not known.")
    version = manifest.get("schema_version")
    if version is not None and version == version and version not in SCHEMAS:
        words = " and ".join(map(str, SCHEMAS))
        notes.append(
            f"The store has schema version {version:g}, this report reads versions {words}: "
            "columns it does not know are left out, and missing ones are empty."
        )
    # Earlier versions kept the keys of a URI, which the message of an error may repeat.
    for column in ("reason", "traceback"):
        trials[column] = columns.each(trials[column], lambda text: text and redacted(text))
    # Older stores have none but those of the search.
    trials["role"] = trials["role"].where(trials["role"] == CONFIRM, SEARCH)
    if manifest.get("state") != "running":
        trials.loc[trials["state"] == "running", "state"] = "interrupted"
    trials, epochs = _without_a_prior(trials.sort_values(["number", "seed"]).reset_index(drop=True), epochs)
    trials["kernel"] = _kernels(trials)
    objectives = _objectives(manifest, trials, notes)
    name = manifest.get("study") or next(iter(trials["study"].dropna()), None)
    return StudyData(
        location=store.location,
        name=name or os.path.basename(store.root.rstrip("/")),
        manifest=manifest,
        sessions=sessions,
        trials=_with_metrics(trials, objectives),
        epochs=epochs.sort_values(["trial", "epoch"]).reset_index(drop=True),
        objectives=objectives,
        store=store,
        notes=notes,
    )


def parse(text: object, default: Any, exact: bool = False) -> Any:
    """The value of a JSON column; `default` where it is missing or not JSON of the same kind.

    Bytes of a path that are no text, which JSON has as lone surrogates and neither pandas nor UTF-8 can hold, become
    escapes to be read, unless it is to be `exact`.
    """
    try:
        value = json.loads(text) if isinstance(text, str) else default
    except ValueError:
        return default
    if not isinstance(value, type(default)):
        return default
    return value if exact or not isinstance(text, str) or "\\ud" not in text.lower() else _readable(value)


def _readable(value: Any) -> Any:
    if isinstance(value, dict):
        return {_readable(key): _readable(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_readable(part) for part in value]
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def _frame(store: Store, kind: str) -> pd.DataFrame:
    """One kind as a frame: expected columns exist and hold one kind of value each, or that it is missing."""
    frame = store.read(kind).to_pandas(ignore_metadata=True)
    missing = pd.Series(None, frame.index, dtype=object)
    read = {name: as_kind(frame.get(name, missing)) for names, as_kind in READ for name in names[kind]}
    return frame.assign(**read)


def _manifest(sessions: pd.DataFrame) -> dict[str, Any]:
    if sessions.empty:
        return {}
    row = {key: (None if value is pd.NaT else value) for key, value in sessions.iloc[-1].to_dict().items()}
    kinds: dict[str, Any] = {
        "objectives": [],
        "options": {},
        "space": {},
        "packages": {},
        "hardware": {},
        "data": {},
        "metrics": {},
        "constraints": [],
    }
    row |= {key: parse(row.get(key), default) for key, default in kinds.items()}
    options = {key: shown(value) if isinstance(value, str) else value for key, value in row["options"].items()}
    return row | {"options": options, "command": row["command"] and redacted(row["command"])}


def _objectives(manifest: dict[str, Any], trials: pd.DataFrame, notes: list[str]) -> list[Objective]:
    """The study's objectives; where none are recorded, the distance and the sharpness of samples."""
    given = [
        Objective(str(pair[0]).removeprefix("val_"), str(pair[1]))
        for pair in manifest.get("objectives", [])
        if isinstance(pair, list) and len(pair) == 2 and pair[1] in ("min", "max")
    ]
    if given:
        return given
    distance = next((c for c in trials if c.startswith("gen_") and is_distance(c)), None)
    assumed = [Objective(distance, "min")] if distance else []
    if "gen_sharpness" in trials:
        assumed.append(Objective("gen_sharpness", "max"))
    if assumed:
        notes.append(f"No objectives are recorded; assumed {' and '.join(o.label for o in assumed)}.")
    return assumed


def _kernels(trials: pd.DataFrame) -> pd.Series:
    """The kernel of each trial's configuration: searched, or as its recipe has it; None where its method has none."""
    kernels: dict[object, object] = {}
    for row in trials.groupby("configuration").head(1).itertuples():
        posterior = parse(row.recipe, {}).get("posterior")
        own = posterior.get("kernel") if isinstance(posterior, dict) else None
        kernels[row.configuration] = parse(row.params, {}).get("kernel") or own
    return pd.Series([kernels.get(key) for key in trials["configuration"]], trials.index, dtype=object)


def _with_metrics(trials: pd.DataFrame, objectives: list[Objective]) -> pd.DataFrame:
    """Objective columns exist; metric columns are float; infinities, which no mean survives, are NaN."""
    missing = {o.metric: np.nan for o in objectives if o.metric not in trials}
    trials = trials.assign(**missing)
    measured = [c for o in objectives for c in (o.metric, f"val_{o.metric}") if c in trials]
    for column in dict.fromkeys([*metric_columns(trials), *measured]):
        trials[column] = columns.numbers(trials[column])
    return trials.copy()  # whose columns are in one piece again


def _without_a_prior(trials: pd.DataFrame, epochs: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Trials and epochs without the values that version 0.1 gave to posteriors without a prior: a rate of 0 nats, and
    what it took from a prior that there is not."""
    lacking = trials["rate_is"] == "none"
    for name in (name for metric in OF_A_PRIOR for name in (metric, f"val_{metric}") if name in trials):
        trials[name] = trials[name].where(~lacking, None)
    for name in (name for name in ("train_rate_nats", "val_rate_nats") if name in epochs):
        epochs[name] = epochs[name].mask(epochs["trial"].isin(trials.loc[lacking, "trial"]))
    return trials, epochs


def metric_columns(trials: pd.DataFrame) -> list[str]:
    """Names of the metrics, of both splits, that are single numbers."""
    starts = (
        "gen_",
        "xpd_",
        "rec_",
        "real_",
        "distortion_",
        "rate_nats",
        "elbo_",
        "nll_",
        "bits_",
        "active_",
        "aggregate_",
        "latent_mean",
        *COSTS,
    )
    return [c for c in trials if c.removeprefix("val_").startswith(starts) or is_accuracy(c)]
