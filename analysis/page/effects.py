"""What configurations are against a reference on several data sets, as sentences and as cells of a table."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from analysis.study import naming
from analysis.study.across import Across
from analysis.study.naming import Objective, count, number

MINUS = "\N{MINUS SIGN}"


def meaning(found: Across, objective: Objective) -> str:
    """What the effects on an objective are: "ratio to VAE"."""
    scale, unit = found.scales[objective], naming.unit(objective.metric)
    if scale == "ratio":
        return f"ratio to {found.reference}"
    if scale == "share":
        return f"difference from {found.reference}, as share of the usual size"
    return f"difference from {found.reference}" + (f" ({unit})" if unit else "")


def value(scale: str, effect: float) -> str:
    """An effect as what it means: the ratio of a logarithm, a difference with its sign."""
    if scale == "ratio":
        with np.errstate(over="ignore"):
            return number(float(np.exp(effect)), 3 if abs(effect) < 0.7 else 2)
    return f"{'+' if effect > 0 else MINUS if effect < 0 else ''}{number(abs(effect), 2)}"


def interval(scale: str, effect: float, half: float) -> str:
    """From where to where an effect is; empty where that is not known."""
    return f"{value(scale, effect - half)} to {value(scale, effect + half)}" if math.isfinite(half) else ""


def rows(found: Across, names: Sequence[str]) -> list[dict[str, Any]]:
    """The table: of each objective its name and meaning, and of each configuration the cells of all studies and the
    combined one, each with text, interval, arrow and tone: "good", "bad", or "" where nothing is shown, by its interval
    or, of the combined one, by its verdict."""
    table = []
    for objective, scale in found.scales.items():
        effects = found.effects[found.effects["objective"] == objective]
        combined = found.combined[found.combined["objective"] == objective].set_index("label")
        lines = []
        for label in found.labels:
            own = effects[effects["label"] == label].set_index("study")
            if not len(own):
                continue
            cells = [_cell(objective, scale, own.loc[i]) if i in own.index else None for i in range(len(names))]
            whole, last = combined.loc[label], None
            if math.isfinite(whole["effect"]):
                another = interval(scale, whole["effect"], whole["half_of_another"])
                last = _cell(objective, scale, whole) | {"verdict": _verdict(objective, whole), "another": another}
                last |= {} if whole["differs"] else {"tone": ""}
            lines.append({"label": label, "cells": cells, "combined": last})
        if lines:
            table.append({"objective": objective, "meaning": meaning(found, objective), "lines": lines})
    return table


def _cell(objective: Objective, scale: str, row: Mapping[str, Any]) -> dict[str, str]:
    effect, half = row["effect"], row["half"]
    clear = math.isfinite(half) and abs(effect) > half
    tone = ("bad" if objective.sign * effect > 0 else "good") if clear else ""
    arrow = "↑" if effect > 0 else "↓" if effect < 0 else "="
    return {"text": value(scale, effect), "interval": interval(scale, effect, half), "arrow": arrow, "tone": tone}


def _verdict(objective: Objective, row: Mapping[str, Any]) -> str:
    if not row["differs"]:
        return "no difference shown"
    return "differs: worse" if objective.sign * row["effect"] > 0 else "differs: better"


def sentences(found: Across) -> list[str]:
    """Of each objective, what differs from the reference on all data sets together."""
    said = []
    for objective, scale in found.scales.items():
        combined = found.combined[(found.combined["objective"] == objective) & found.combined["effect"].notna()]
        if not len(combined):
            continue
        each = []
        for _, row in combined[combined["differs"]].iterrows():
            own = found.effects[(found.effects["objective"] == objective) & (found.effects["label"] == row["label"])]
            own = own[own["enters"]]
            same = int((np.sign(own["effect"]) == np.sign(row["effect"])).sum())
            size = value(scale, row["effect"]) + (" times" if scale == "ratio" else "")
            of = interval(scale, row["effect"], row["half"])
            sign = f"the same sign on {same} of {count(len(own), 'data set')}"
            each.append(f"{row['label']} {_verdict(objective, row).removeprefix('differs: ')}, {size} ({of}; {sign})")
        others = len(combined) - len(each)
        rest = f"no difference is shown of {count(others, 'configuration')}" if others else ""
        parts = [f"against {found.reference}, over {_counts(combined['n'])}", *each, *([rest] if rest else [])]
        said.append(f"{objective.label}, {parts[0]}: {'; '.join(parts[1:])}.")
    return [text[0].upper() + text[1:] for text in said]


def _counts(n: Sequence[int]) -> str:
    least, most = int(min(n)), int(max(n))
    return count(most, "data set") if least == most else f"{least} to {most} data sets"
