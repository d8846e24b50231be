"""Paired arms of a study: differences at the same seeds, beside those that a paper publishes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol

import numpy as np
import pandas as pd

from analysis.study import naming
from analysis.study.load import StudyData
from analysis.study.random_effects import holm
from analysis.study.tables import noise_of, noise_of_means
from evae.search.noise import ERROR, Noise, critical

AGREES, CONTRADICTS, OPEN = "agrees", "contradicts", "not decided here"
LEAST = 1e-12
"""Smaller probabilities are not told apart."""


class Pair(Protocol):
    """Two arms by their labels, and the published difference arm - other by metric; 0 where the paper has none."""

    arm: str
    other: str
    published: Mapping[str, float]
    where: str


def table(study: StudyData, pairs: Mapping[str, Pair]) -> pd.DataFrame:
    """A row for each pair and published metric whose arms have finished seeds.

    Columns: ablation, metric (its column), published, where, seeds (of the arm that has fewer), difference (of the
    means over seeds on the test split), low and high (its 95 % interval by `noise.critical`, in which what both arms
    have in common at a seed cancels), chance (that noise alone makes as great a difference, adjusted for all rows:
    Holm), and verdict: whether the sign agrees with the paper's or contradicts it beyond noise, or is not decided.
    Where the paper has no difference, one beyond noise contradicts it, and no difference can be shown.
    """
    rows = []
    for name, pair in pairs.items():
        for short, published in pair.published.items():
            row = {"ablation": name, "metric": (column := _column(study, short)), "published": published}
            rows.append(row | {"where": pair.where} | _difference(study, column, pair))
    found = pd.DataFrame([row for row in rows if row["seeds"]], columns=[*rows[0]] if rows else None)
    if len(found):
        found["chance"] = holm(found["chance"].to_numpy(float))
        found["verdict"] = [_verdict(row) for row in found.itertuples()]
    return found


def as_markdown(study: StudyData, pairs: Mapping[str, Pair]) -> str:
    """The table in Markdown, and what it decides in a line."""
    found = table(study, pairs)
    if not len(found):
        return "no pair of arms has finished seeds yet\n"
    heads = ["ablation", "metric", "seeds", "difference (95 %)", "the paper's", "p (Holm)", "verdict on the sign"]
    rows = [heads, ["---"] * len(heads)]
    for row in found.itertuples():
        interval = f"{row.difference:+.3g} ({row.low:+.3g} to {row.high:+.3g})"
        paper = f"{row.published:+.2f}, {row.where}" if row.published else f"none, {row.where}"
        chance = f"{row.chance:.2g}" if math.isfinite(row.chance) else "unknown"
        rows.append([row.ablation, naming.label(row.metric), str(row.seeds), interval, paper, chance, row.verdict])
    text = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    counts = [f"{int((found['verdict'] == said).sum())} {said}" for said in (AGREES, CONTRADICTS, OPEN)]
    return f"{text}\n\nOf {len(found)} signs {', '.join(counts)}, at {100 * ERROR:g} % for all together.\n"


def _column(study: StudyData, name: str) -> str:
    """The column of a metric's short name: `rec_fd` is on the study's features."""
    found = [c for c in study.trials if name == "rec_fd" and (c == "rec_fid" or c.startswith("rec_fd_"))]
    return found[0] if found else name


def _difference(study: StudyData, column: str, pair: Pair) -> dict[str, float]:
    """The difference of two arms, its interval and the chance of it; no seeds where one arm has none."""
    nothing = dict.fromkeys(("difference", "low", "high", "chance"), math.nan)
    trials = study.trials[study.trials["state"] == "finished"]
    if column not in trials:
        return {"seeds": 0} | nothing
    noise = noise_of_means(trials, column).add_prefix("mean_")
    means = trials.groupby("configuration")[column].mean().reindex(noise.index)
    label = trials.groupby("configuration")["label"].first().reindex(noise.index)
    counts = trials[trials[column].notna()].groupby("label")["seed"].nunique()
    at = [np.flatnonzero((label == arm) & means.notna()) for arm in (pair.arm, pair.other)]
    if not all(len(where) for where in at):
        return {"seeds": 0} | nothing
    (j,), (k,) = at
    of, by = noise_of(noise, "mean"), float(means.iloc[j] - means.iloc[k])
    half = _critical(of, j, k, ERROR / 2)
    ends = {"low": by - half, "high": by + half}
    seeds = int(min(counts[pair.arm], counts[pair.other]))
    return {"seeds": seeds, "difference": by, **ends, "chance": _chance(of, j, k, abs(by))}


def _critical(noise: Noise, j: int, k: int, tail: float) -> float:
    return float(critical(noise, slice(j, j + 1), slice(k, k + 1), tail)[0, 0])


def _chance(noise: Noise, j: int, k: int, by: float) -> float:
    """The probability, to both sides, that noise alone makes the means of j and k differ by more than `by`: found by
    bisection of the tail that `noise.critical` has that value for."""
    if not math.isfinite(_critical(noise, j, k, 0.25)):
        return math.nan
    low, high = math.log(LEAST), math.log(0.5)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if _critical(noise, j, k, math.exp(middle)) < by else (middle, high)
    return 2 * math.exp(high)


def _verdict(row: tuple) -> str:
    if not row.chance <= ERROR:
        return OPEN
    return AGREES if row.published and (row.difference > 0) == (row.published > 0) else CONTRADICTS
