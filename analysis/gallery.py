"""Pictures of the best configurations and the controls: each distinct PNG once, within a budget of bytes."""

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from analysis import naming
from analysis.load import StudyData

BUDGET = 6_000_000  # bytes of base64 text, so that the whole page stays well below 15 MB
MOST = 12
KINDS = {
    "real": "real",
    "reconstructed": "reconstructed",
    "sampled": "sampled from the prior",
    "interpolated": "interpolated",
}


@dataclass(frozen=True)
class Gallery:
    """`cards` show configurations, `data` maps digests to data URIs, `left_out` counts what had no room."""

    cards: list[dict[str, Any]] = field(default_factory=list)
    data: dict[str, str] = field(default_factory=dict)
    left_out: int = 0


def gallery(study: StudyData, front: pd.DataFrame) -> Gallery:
    """The front, in order of the first objective, and the controls: the first finished seed of each."""
    found = Gallery()
    spent = left_out = 0
    for _, row in choose(front, study).iterrows():
        pictures = []
        fresh: dict[str, str] = {}
        for picture in study.pictures(row["trial"]):
            digest = hashlib.sha256(picture["png"]).hexdigest()[:16]
            if digest not in found.data:
                fresh[digest] = "data:image/png;base64," + base64.b64encode(picture["png"]).decode()
            pictures.append(
                {
                    "kind": picture["kind"],
                    "digest": digest,
                    "title": KINDS.get(picture["kind"], picture["kind"]),
                }
            )
        size = sum(map(len, fresh.values()))
        if not pictures:
            continue
        if spent + size > BUDGET:
            left_out += 1
            continue
        spent += size
        found.data.update(fresh)
        order = list(KINDS)
        pictures.sort(key=lambda p: order.index(p["kind"]) if p["kind"] in order else len(order))
        scores = [(o.label, naming.interval(row[o.metric], row[f"{o.metric}_half"])) for o in study.objectives]
        found.cards.append(
            {
                "name": row["name"],
                "trial": row["trial"],
                "on_front": bool(row["on_front"]),
                "control": bool(pd.notna(row["label"])),
                "scores": scores,
                "pictures": pictures,
            }
        )
    return Gallery(found.cards, found.data, left_out)


def choose(front: pd.DataFrame, study: StudyData) -> pd.DataFrame:
    """At most `MOST` rows: some of the front, evenly spread over the first objective, then the controls."""
    if not len(front):
        return front
    first = study.objectives[0]
    controls = front[front["label"].notna()]
    searched = front[front["label"].isna() & front["on_front"]].sort_values(f"select_{first.metric}")
    room = max(1, MOST - len(controls))
    if len(searched) > room:
        step = (len(searched) - 1) / max(1, room - 1)
        searched = searched.iloc[[round(i * step) for i in range(room)]]
    return pd.concat([searched, controls])
