"""Where the numbers come from: what must be known to repeat a study, and whether its values compare."""

import json

import pandas as pd

from analysis.study import identities, naming
from analysis.study.load import StudyData, parse

CONDITIONS = {
    "precision": "Arithmetic",
    "device": "Device",
    "processor": "Kind of processor",
    "threads": "Threads of a process",
    "workers": "Processes of a trial",
    "rate_is": "Meaning of the rate",
}
"""Columns of a trial that make its numbers comparable, beside the identity of its distances."""


def comparable(study: StudyData) -> list[tuple[bool, str]]:
    """(agrees, sentence) for each thing that must be the same for the values of a study to compare."""
    found = []
    for metric, rows in identities.table(study).groupby("metric", sort=False):
        if len(rows) == 1:
            found.append((True, f"{metric}: one identity for all {naming.count(int(rows['n'].sum()), 'trial')}."))
        else:
            differ = [key for key in identities.KEYS if rows[key].astype(str).nunique() > 1]
            found.append(
                (False, f"{metric}: taken in {len(rows)} ways that differ in {', '.join(differ)}: do not compare.")
            )
    for column, what in CONDITIONS.items():
        kinds = sorted(study.trials[column].dropna().unique())
        if kinds:
            listed = " and ".join(kind if isinstance(kind, str) else naming.number(float(kind)) for kind in kinds)
            found.append(
                (len(kinds) == 1, f"{what}: {listed}{'.' if len(kinds) == 1 else ', so values may differ by it.'}")
            )
    epochs = study.trials.loc[study.trials["state"] == "finished", "epochs"].dropna().unique()
    if len(epochs):
        listed = ", ".join(naming.number(float(e)) for e in sorted(epochs))
        found.append((len(epochs) == 1, f"Epochs of finished trials: {listed}."))
    commits = sorted({c[:12] for c in study.sessions["git_commit"].dropna()})
    if commits:
        text = f"Code: {' and '.join(commits)}."
        found.append((len(commits) == 1, text if len(commits) == 1 else f"{text} Sessions ran different code."))
    if study.manifest.get("git_dirty"):
        found.append((False, "The code had changes that no commit holds."))
    digests = {parse(text, {}).get("digest") for text in study.sessions["data"].dropna()} - {None}
    if digests:
        found.append((len(digests) == 1, f"Images: {naming.count(len(digests), 'digest')} over all sessions."))
    return found


def manifest(study: StudyData) -> list[tuple[str, str]]:
    """What must be known to repeat the study: (name, value)."""
    known = study.manifest
    commit = known.get("git_commit")
    dirty = {True: " with uncommitted changes", False: ""}.get(known.get("git_dirty"), "")
    hardware, packages = known.get("hardware", {}).items(), known.get("packages", {})
    entries: list[tuple[str, object]] = [
        ("command", known.get("command")),
        ("state", known.get("state")),
        ("started", known.get("started_at")),
        ("ended", known.get("ended_at")),
        ("commit", f"{commit}{dirty}" if commit else None),
        ("slots", known.get("slots")),
        *(("data: " + k.replace("_", " "), v) for k, v in known.get("data", {}).items()),
        *(("hardware: " + k.replace("_gib", " (GiB)").replace("_", " "), v) for k, v in hardware),
        *(("option: " + k.replace("_", " "), v) for k, v in known.get("options", {}).items()),
        *(("space: " + naming.parameter(k), v) for k, v in known.get("space", {}).items()),
        ("packages", ", ".join(f"{k} {v or 'not installed'}" for k, v in sorted(packages.items())) or None),
        ("results", study.location),
        ("schema version", known.get("schema_version")),
    ]
    return [(name, _text(value)) for name, value in entries if value is not None and value == value and value != []]


def _text(value: object) -> str:
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d %H:%M:%S} UTC"
    if isinstance(value, (dict, list)):
        if isinstance(value, list) and not any(isinstance(item, (dict, list)) for item in value):
            return ", ".join(map(str, value))
        return json.dumps(value, ensure_ascii=False).translate(str.maketrans("", "", '"{}'))
    return naming.number(value) if isinstance(value, float) else str(value)
