"""Verdicts: what a study's trials say of its claims.

A comparison rests on fresh seeds alone, which took no part in the search: the differences of both sides at the same
seed, by a t test that may be looked at at any time (`evae.search.anytime`). A parameter's share rests on the
configurations that the search drew (`evae.search.shares`). All claims of a study together are wrong with a probability
of `noise.ERROR` at most, each with an equal part of it (Bonferroni), at all looks together.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from evae.search import anytime, shares
from evae.search.claims import BEST, SESSION, Comparison, Explained, Stated, is_best
from evae.search.job import ENDED, is_fresh
from evae.search.noise import ERROR, ROUNDING
from evae.search.objectives import counted
from evae.search.variance import labels

HOLDS, FAILS, UNDECIDED = "holds", "does not hold", "undecided"
IN_VAIN = 5
"""Fresh seeds without a value, or without any difference, after which more of them are no use."""

Row = Mapping[str, Any]
"""A trial: the store's row with `params` as a dict, and `kernel` beside `method`."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """`size` is the difference left - factor * right, or the share explained, and `low` and `high` its interval, which
    at all looks together holds with a probability of 1 - error of the claim; `relative` is the difference as a share of
    factor * right. `n` fresh seeds of both, or configurations, were looked at; `more` of them would decide it if all
    stays as it is, and cost `hours` on so many cores or GPUs (`on`). NaN stands for what is not known.

    `left` and `right` are the keys of the configurations, None where there are none yet; `names` what they are called.
    `apart` seeds more were trained of both, but one side on another kind of device or in another arithmetic, which may
    make a difference of its own. `why` says what keeps an undecided claim from a verdict, "" where it is noise alone;
    more seeds are no use where it `is_in_vain`.
    """

    stated: Stated
    said: str = UNDECIDED
    why: str = ""
    n: int = 0
    apart: int = 0
    size: float = math.nan
    low: float = -math.inf
    high: float = math.inf
    relative: float = math.nan
    left: str | None = None
    right: str | None = None
    names: tuple[str, str] = ("", "")
    more: float = math.nan
    hours: float = math.nan
    on: str = "core"
    is_in_vain: bool = False

    @property
    def decided(self) -> bool:
        return self.said != UNDECIDED


def judge(claims: Sequence[Stated], rows: Sequence[Row]) -> list[Verdict]:
    """The verdict of each claim on a study's trials."""
    error = ERROR / max(1, len(claims))
    return [
        _compared(stated, rows, error) if isinstance(stated.claim, Comparison) else _explained(stated, rows, error)
        for stated in claims
    ]


def chosen(side: str, rows: Sequence[Row], claim: Comparison) -> str | None:
    """The key of the configuration that a side of a claim names; None where there is none yet.

    A best is chosen by the search's own values on the validation split, the mean over its seeds: fresh seeds, on which
    the verdict rests, take no part in the choice.
    """
    if not is_best(side):
        return next((row["configuration"] for row in rows if row["label"] == side), None)
    sign = -1.0 if claim.direction == "max" else 1.0
    values: dict[str, list[float]] = {}
    for row in rows:
        if not is_fresh(row) and side in (f"{begin}{row.get(kind)}" for kind, begin in BEST.items()):
            value = _value(row, f"val_{claim.metric}")
            if math.isfinite(value):
                values.setdefault(row["configuration"], []).append(value)
    # Configurations are in order of their numbers: of equals the first.
    return min(values, key=lambda key: sign * sum(values[key]) / len(values[key]), default=None)


def _value(row: Row, metric: str) -> float:
    return counted(row, metric) if row["state"] == "finished" else math.nan


def _compared(stated: Stated, rows: Sequence[Row], error: float) -> Verdict:
    claim: Comparison = stated.claim
    keys = [chosen(side, rows, claim) for side in (claim.left, claim.right)]
    of = [[row for row in rows if key is not None and row["configuration"] == key] for key in keys]
    names = tuple(name(own[0]) if own else side for own, side in zip(of, (claim.left, claim.right), strict=True))
    common = {"stated": stated, "left": keys[0], "right": keys[1], "names": names}
    if keys[0] is not None and keys[0] == keys[1]:
        return Verdict(**common, why="both sides are the same configuration", is_in_vain=True)
    fresh = [_fresh_values(own, claim.metric, stated) for own in of]
    both = [
        seed for seed in sorted(fresh[0].keys() & fresh[1].keys()) if math.isfinite(fresh[0][seed] + fresh[1][seed])
    ]
    ran = [{row["seed"]: row for row in own if is_fresh(row)} for own in of]
    seeds = [seed for seed in both if _ran_alike(ran[0][seed], ran[1][seed])]
    common["apart"] = len(both) - len(seeds)
    if not seeds:
        why = "its sides ran on different devices" if both else _nothing(of, names, fresh, stated)
        return Verdict(**common, why=why, is_in_vain=not both and min(map(len, fresh)) >= IN_VAIN)
    left, right = (np.array([values[seed] for seed in seeds]) for values in fresh)
    right = claim.factor * right
    differences, least = left - right, ROUNDING * (np.abs(left).mean() + np.abs(right).mean()) / 2
    low, high = (float(ends[-1]) for ends in anytime.confidence_sequence(differences, error, least))
    size, spread = float(differences.mean()), float(differences.std())
    found = common | {"n": len(seeds), "size": size, "low": low, "high": high}
    found["relative"] = size / abs(right.mean()) if right.mean() else math.nan
    if high < 0 or low > 0:
        return Verdict(**found, said=HOLDS if (high < 0) == claim.less else FAILS)
    why = ""
    if abs(size) <= least:
        why, needed = "the difference is 0 at every seed" if spread <= least else "the mean difference is 0", math.inf
    elif len(seeds) < 2:
        why, needed = "one seed says nothing of the noise", math.nan
    else:
        needed = anytime.values_needed(size, spread, error)
    more = max(1.0, needed - len(seeds)) if not math.isnan(needed) else needed
    hours, on = _cost(of, more)
    in_vain = spread <= least >= abs(size) and len(seeds) >= IN_VAIN
    return Verdict(**found, why=why, more=more, hours=hours, on=on, is_in_vain=in_vain)


def _ran_alike(one: Row, other: Row) -> bool:
    """Whether two trials ran on the same kind of device and in the same arithmetic, as far as both are known."""
    kinds = [(one.get(name), other.get(name)) for name in ("device", "precision")]
    return all(a == b for a, b in kinds if None not in (a, b))


def _fresh_values(rows: Sequence[Row], metric: str, stated: Stated) -> dict[int, float]:
    """Fresh seed -> value, NaN for a trial that ended without one; those that have not ended are left out, and so are
    those that were known before the claim."""
    later = (row for row in rows if is_fresh(row) and row["seed"] >= stated.first_seed and row["state"] in ENDED)
    return {row["seed"]: _value(row, metric) for row in later if not known_before(row, stated)}


def known_before(row: Row, stated: Stated) -> bool:
    """Whether a trial was taken from another study, which had trained it before the claim was stated. Those of the
    study itself are told by their seeds and numbers."""
    ended = row.get("ended_at")
    if row.get("taken_study") is None or ended is None:
        return False
    try:
        return ended < datetime.strptime(stated.session, SESSION).replace(tzinfo=UTC)
    except ValueError:
        return True


def _nothing(of: list[list[Row]], names: tuple[str, ...], fresh: list[dict[int, float]], stated: Stated) -> str:
    """Why there is no fresh seed of both sides with a value."""
    for own, called, values in zip(of, names, fresh, strict=True):
        if not own:
            return f"{called} has not been trained"
        if values and not any(map(math.isfinite, values.values())):
            states = sorted({row["state"] for row in own if row["seed"] in values})
            how = f" ({', '.join(states)})" if states != ["finished"] else ""
            many = "its one fresh seed" if len(values) == 1 else f"any of its {len(values)} fresh seeds"
            return f"{called} has no value of this at {many}{how}"
    later = " since the claim was stated" if stated.trials else ""
    return f"no fresh seed has been trained of both{later}"


def _cost(of: list[list[Row]], more: float) -> tuple[float, str]:
    """(hours of so many more seeds of both, on what), by what their trials took so far."""
    seconds, on = 0.0, "core"
    for own in of:
        took = [(row.get("wall_s") or math.nan) * _devices(row) for row in own if row["state"] == "finished"]
        known = [each for each in took if math.isfinite(each)]
        seconds += sum(known) / len(known) if known else math.nan
        on = "GPU" if any(_on_gpu(row) for row in own) else on
    return more * seconds / 3600, on


def _on_gpu(row: Row) -> bool:
    return str(row.get("device") or "cpu") != "cpu"


def _devices(row: Row) -> float:
    each = 1 if _on_gpu(row) else row.get("threads") or 1
    return each * (row.get("workers") or 1)


def _explained(stated: Stated, rows: Sequence[Row], error: float) -> Verdict:
    claim: Explained = stated.claim
    values: dict[int, list[float]] = {}
    given: dict[int, Row] = {}
    column = f"val_{claim.metric}"
    for row in rows:
        drawn = row["origin"] in ("searched", "grid") and row["number"] >= stated.first_number and not is_fresh(row)
        drawn = drawn and not known_before(row, stated)
        if drawn and row["params"].get(claim.parameter) is not None and math.isfinite(value := _value(row, column)):
            values.setdefault(row["number"], []).append(value)
            given[row["number"]] = row
    numbers = sorted(values)
    parameter, others = _parameters([given[number] for number in numbers], claim.parameter)
    metric = np.array([sum(values[number]) / len(values[number]) for number in numbers])
    low, high, last = shares.share_sequence(parameter, metric, error, others)
    size = float(shares.share(parameter, metric, others))
    found = {"stated": stated, "n": len(numbers), "size": size, "low": low, "high": high}
    if high < claim.limit or low > claim.limit:
        return Verdict(**found, said=HOLDS if (high < claim.limit) == claim.less else FAILS)
    kinds = len(set(labels(parameter)))
    if kinds < 2:
        return Verdict(**found, why=f"fewer than two values of {claim.parameter} have been tried")
    noise = getattr(shares.analysis(parameter, metric, others), "noise", None)
    more = max(1.0, shares.configurations_needed(kinds, size, claim.limit, error, noise) - len(numbers))
    why = "" if last else f"it is first looked at with {shares.FIRST_LOOK} configurations"
    return Verdict(**found, why=why, more=more)


def _parameters(rows: Sequence[Row], name: str) -> tuple[list[Any], list[list[Any]]]:
    """(values of the parameter of this name, those of each other that varies). Only the points of a grid have others:
    what a sampler draws depends on what it has seen, so that parameters are mixed up with each other."""
    parameter = [row["params"][name] for row in rows]
    if not all(row["origin"] == "grid" for row in rows):
        return parameter, []
    names = dict.fromkeys(other for row in rows for other in row["params"] if other != name)
    others = [[row["params"].get(other) for row in rows] for other in names]
    return parameter, [values for values in others if len(set(map(str, values))) > 1]


def sentence(verdict: Verdict) -> str:
    """A verdict in a line: what, how much, by how many seeds or configurations, and what deciding it would take."""
    claim, parts = verdict.stated.claim, []
    if math.isfinite(verdict.size) and isinstance(claim, Comparison):
        parts.append(f"difference {_number(verdict.size)}{relative(verdict)}")
    elif math.isfinite(verdict.size):
        parts.append(f"it explains {100 * verdict.size:.0f} %")
    if math.isfinite(verdict.high - verdict.low):
        parts.append(f"between {_number(verdict.low)} and {_number(verdict.high)}")
    parts += [evidence(verdict)] if verdict.n or verdict.apart else []
    parts += [taking(verdict)] if not verdict.decided else []
    return f"{verdict.said}: {claim.text} ({', '.join(filter(None, parts))})"


def relative(verdict: Verdict) -> str:
    """The difference as a share of the right side, in brackets; "" where that is not known."""
    if not math.isfinite(verdict.relative):
        return ""
    share = 100 * abs(verdict.relative)
    return f" ({share:,.{0 if share >= 10 else 1}f} % {'less' if verdict.relative < 0 else 'more'})"


def evidence(verdict: Verdict) -> str:
    """On how many fresh seeds, or configurations, a verdict rests."""
    if isinstance(verdict.stated.claim, Comparison):
        left = f", {verdict.apart} more on different devices left out" if verdict.apart else ""
        return _count(verdict.n, "fresh seed") + left
    last = max((n for n, _ in shares.looks(verdict.n)), default=verdict.n)
    return _count(verdict.n, "configuration") + (f", {last:,} at the last look" if last < verdict.n else "")


def taking(verdict: Verdict) -> str:
    """What deciding a claim would take, or why it is not known."""
    if verdict.is_in_vain or math.isnan(verdict.more):
        return verdict.why
    why = f"{verdict.why}; " if verdict.why else ""
    if math.isinf(verdict.more):
        return verdict.why or "too near to be decided by any number of them"
    if isinstance(verdict.stated.claim, Explained):
        return f"{why}about {_about(verdict.more, 'more configuration')}"
    hours = f", {_number(verdict.hours, 2)} {verdict.on}-hours" if math.isfinite(verdict.hours) else ""
    return f"{why}about {_about(verdict.more, 'more seed')} of two configurations{hours}"


def _about(n: float, noun: str) -> str:
    return _count(float(f"{n:.2g}"), noun)


def _count(n: float, noun: str) -> str:
    return f"{n:,.0f} {noun}{'' if n == 1 else 's'}"


def _number(value: float, digits: int = 3) -> str:
    """With so many digits that count, and no exponent where the number is large."""
    return f"{float(f'{value:.{digits}g}'):,.12g}"


def name(row: Row) -> str:
    """What a trial's configuration is called: its label, or its number and kernel or method."""
    return row["label"] or f"#{row['number']:.0f} {row.get('kernel') or row.get('method') or ''}".strip()
