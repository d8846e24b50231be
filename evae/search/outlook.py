"""What more of the same search would buy: the expected gain of the front's hypervolume, from the study's own trials.

Each configuration dominates a part of the box; what n of them dominate together grows as the species that n samples
have found, and how much more is to be expected is known from what few have found (Good, Biometrika 40 (1953), 237-264):
Q1, the volume that one configuration dominates alone, and Q2, what two dominate and no third does. Of m more draws like
the n that were, the gain is expected to be

    Q0 (1 - (1 - Q1 / (n Q0 + Q1))^m)    with    Q0 = (n - 1) / n  Q1^2 / (2 Q2)

(Chao2, and the extrapolation of Colwell et al., J. Plant Ecol. 5 (2012), 3-21, which is good up to about 2 n). Draws
that gave nothing (diverged, failed, stopped, against the constraints) count in n: they take time, too.

Of draws that are independent and alike the mean gain of each more is less than that of the last, so that m / n Q1 is
above the mean gain, which the interval's upper end takes; both ends take Q1 for a sum of rare contributions (Fay &
Feuer, Stat. Med. 16 (1997), 791-801), the lower without the largest. Sizes of contributions that have not been seen are
not in it. A sampler that learns does not draw alike: of it the second half stands for what is to come.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evae.search.constraints import Constraint, keeps
from evae.search.hypervolume import alone, by_pairs, hypervolume
from evae.search.job import ENDED, is_fresh
from evae.search.objectives import complete
from evae.search.pareto import nondominated, signed

LEAST = 20
"""Configurations that have to be drawn before anything is said."""
MOST_HOURS = 10.0
LEVEL = 0.9
"""Of the interval for the expected gain."""
ALIKE = ("random", "qmc")
"""Samplers that learn nothing: each of their draws is like the others."""


@dataclass(frozen=True)
class Gain:
    """Of the hypervolume, as a share of what there is: expected, and the ends of its interval."""

    expected: float
    low: float
    high: float


@dataclass(frozen=True)
class Outlook:
    """What `more` configurations, those of so many `hours` at the pace of the last `of`, would bring; no gain where
    fewer than `LEAST` of the `known` were drawn."""

    known: int
    of: int = 0
    hours: float = math.nan
    more: int = 0
    gain: Gain | None = None
    repeated: bool = False

    def sentence(self) -> str:
        """In words, with what it supposes."""
        if self.gain is None:
            known = f"{self.known} configuration{'' if self.known == 1 else 's'}"
            return (
                f"What more hours would buy cannot be told from {known} that the search has drawn; {LEAST} are needed."
            )
        hours, gain = self.hours, self.gain
        time = f"{hours:.2g} more hours" if hours >= 1.5 else f"{60 * hours:.2g} more minutes"
        noise = "of means over seeds" if self.repeated else "of single seeds, whose luck counts as gain"
        gained = f"{_percent(gain.expected)} % ({_percent(gain.low)} to {_percent(gain.high)} %)"
        return (
            f"{time} (about {self.more:,} configuration{'' if self.more == 1 else 's'}) would raise the hypervolume by "
            f"{gained}, if the search goes on as in its last {self.of} configurations: an estimate {noise}."
        )


def _percent(share: float) -> str:
    return f"{100 * share:.1f}" if share < 0.0995 else f"{100 * share:.0f}"


def outlook(
    trials: Iterable[Mapping[str, Any]],
    objectives: Sequence[tuple[str, str]],
    constraints: Sequence[Constraint] = (),
    sampler: str = "tpe",
) -> Outlook | None:
    """From the rows of a study's trials, by the `objectives` (column, "min" or "max") that rank. None where there is
    nothing to say: fewer than two objectives, nothing drawn or trained here, or a front without volume.

    The hours are those that the search has taken so far, `MOST_HOURS` at most, and no more than bring as many
    configurations as there are: nothing is known of what lies farther.
    """
    groups: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in trials:
        if not is_fresh(row) and row["state"] in ENDED:
            groups[row["configuration"]].append(row)
    drawn = [of for of in groups.values() if of[0].get("origin") in (None, "searched")]
    own = [row for of in drawn for row in of if row.get("taken_study") is None and _timed(row)]
    if len(objectives) < 2 or not own:
        return None
    if len(drawn) < LEAST:
        return Outlook(len(drawn))
    drawn.sort(key=lambda of: max((row["ended_at"].timestamp() for row in of if _timed(row)), default=-math.inf))
    last = drawn[-(-len(drawn) // 2) :]
    pace = _pace(last)
    window = drawn if sampler in ALIKE else last
    before = [of for of in groups.values() if not any(of is one for one in window)]
    values = [_values(of, objectives, constraints) for of in [*before, *window]]
    hours = min(_busy(own), MOST_HOURS, len(drawn) / pace if pace else 0.0)
    more = round(pace * hours)
    gain = _gain(np.array(values), len(before), more) if more else None
    repeated = any(len(complete(of, objectives)) > 1 for of in window)
    return gain and Outlook(len(drawn), len(window), hours, more, gain, repeated)


def _timed(row: Mapping[str, Any]) -> bool:
    return row.get("started_at") is not None and row.get("ended_at") is not None


def _busy(rows: Iterable[Mapping[str, Any]]) -> float:
    """Hours in which at least one of these trials was under way: without the time between sessions."""
    total, until = 0.0, -math.inf
    for start, end in sorted((row["started_at"].timestamp(), row["ended_at"].timestamp()) for row in rows):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total / 3600


def _pace(last: Sequence[Sequence[Mapping[str, Any]]]) -> float:
    """Configurations an hour, of those of `last` that were trained here."""
    own = [[row for row in of if row.get("taken_study") is None and _timed(row)] for of in last]
    hours = _busy(row for of in own for row in of)
    return sum(map(bool, own)) / hours if hours > 0 else 0.0


def _values(
    rows: Sequence[Mapping[str, Any]], objectives: Sequence[tuple[str, str]], constraints: Sequence[Constraint]
) -> np.ndarray:
    """(objectives,) means over seeds, to be minimised; NaN where a configuration is not ranked."""
    counted = complete(rows, objectives)
    if not counted or not keeps(counted, constraints):
        return np.full(len(objectives), np.nan)
    return signed(counted, objectives).mean(axis=0)


def _gain(values: np.ndarray, before: int, more: int) -> Gain | None:
    """What so many more draws like those after the first `before` of `values` (n, k) bring: those have been drawn
    otherwise. NaN is a draw that gave nothing. None where the box or the front in it has no volume."""
    n, ranked = len(values) - before, np.isfinite(values).all(axis=1)
    points, is_drawn = values[ranked], np.flatnonzero(ranked) >= before
    if len(points) < 2 or not (np.ptp(points, axis=0) > 0).all():
        return None
    points = (points - points.min(axis=0)) / np.ptp(points, axis=0)
    outer = _outer(points)
    points, is_drawn, reference = points[outer], is_drawn[outer], np.ones(points.shape[1])
    whole = hypervolume(points[nondominated(points)], reference)
    if not whole > 0:
        return None
    lonely = alone(points, reference)
    own, two = lonely[is_drawn], sum(v for i, j, v in by_pairs(points, reference) if is_drawn[i] and is_drawn[j])
    one, largest = own.sum(), lonely.max()
    unseen = (n - 1) / n * one**2 / (2 * two) if two > 0 else math.inf
    expected = more / n * one if math.isinf(unseen) or not unseen else _extrapolated(one, unseen, n, more)
    less = np.delete(own, own.argmax()) if len(own) else own
    low = _low(less) * (expected / one if one > 0 else 0.0)
    return Gain(float(expected / whole), float(low / whole), float(_high(own, largest) * more / n / whole))


def _outer(points: np.ndarray) -> np.ndarray:
    """Indices of the points on the front, on that of the rest, and once more: what no more than two others dominate."""
    left, found = np.arange(len(points)), []
    for _ in range(3):
        front = nondominated(points[left])
        found, left = [*found, *left[front]], left[~front]
    return np.array(sorted(found))


def _extrapolated(one: float, unseen: float, n: int, more: int) -> float:
    return unseen * -math.expm1(more * math.log1p(-one / (n * unseen + one)))


def _low(parts: np.ndarray) -> float:
    """The lower end of the interval for the sum of rare contributions, by those that were seen."""
    from scipy import stats  # slow to import

    total, squares = parts.sum(), (parts**2).sum()
    return (
        float(squares / (2 * total) * stats.chi2.ppf((1 - LEVEL) / 2, 2 * total**2 / squares)) if squares > 0 else 0.0
    )


def _high(parts: np.ndarray, largest: float) -> float:
    """Its upper end, with one more as large as the `largest` that may come."""
    from scipy import stats  # slow to import

    total, squares = parts.sum() + largest, (parts**2).sum() + largest**2
    return (
        float(squares / (2 * total) * stats.chi2.ppf((1 + LEVEL) / 2, 2 * total**2 / squares)) if squares > 0 else 0.0
    )
