"""What several studies say of the claims that they have in common: a line a claim, a column a study."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from analysis.study import naming
from analysis.study.load import StudyData
from analysis.study.naming import NARROW, count, number
from analysis.study.verdicts import outcome, verdicts
from evae.search.claims import Explained, is_best
from evae.search.verdicts import Verdict

ALIKE, SHARES, OTHERS = "alike", "shares", "others"
"""The three kinds of lines: comparisons within a method, shares of parameters, comparisons with another method."""


@dataclass(frozen=True)
class Line:
    """A claim with its verdict in each study, None where a study has not stated it.

    `kind` is one of the three; `what` is compared with `against`, or its share is looked at (then `against` is ""), in
    the metric of this name and column.
    """

    text: str
    kind: str
    what: str
    against: str
    metric: str
    column: str
    verdicts: tuple[Verdict | None, ...]


def lines(studies: Sequence[StudyData]) -> list[Line]:
    """A line for each claim that any of the studies has stated, in the order in which the first ones did."""
    judged = [{verdict.stated.claim.text: verdict for verdict in verdicts(study)} for study in studies]
    found = []
    for text in dict.fromkeys(text for one in judged for text in one):
        of = tuple(one.get(text) for one in judged)
        claim = next(verdict for verdict in of if verdict is not None).stated.claim
        what, against, kind = getattr(claim, "parameter", ""), "", SHARES
        if not isinstance(claim, Explained):
            what, against, kind = claim.left, _against(claim.right, of), _kind(studies, of)
            against = f"{claim.factor:g} × {against}" if claim.factor != 1 else against
        found.append(Line(text, kind, what, against, text.split()[-1], claim.metric, of))
    return found


def _against(side: str, of: Sequence[Verdict | None]) -> str:
    """What a claim's right side is called: the best of a family by how the labels of those begin that are the best in
    one study or another, "best VAE"."""
    begun = {v.names[1].partition(",") for v in of if v is not None and v.right is not None}
    has_labels = bool(begun) and all(comma for _, comma, _ in begun)
    names = {name for name, *_ in begun}
    return f"best {names.pop()}" if is_best(side) and has_labels and len(names) == 1 else side


def _kind(studies: Sequence[StudyData], of: Sequence[Verdict | None]) -> str:
    """Whether both sides of a comparison are of one method, in the first study in which both have been trained."""
    for study, verdict in zip(studies, of, strict=True):
        if verdict is not None and None not in (verdict.left, verdict.right):
            methods = study.trials.drop_duplicates("configuration").set_index("configuration")["method"]
            return ALIKE if methods[verdict.left] == methods[verdict.right] else OTHERS
    return OTHERS


def scale(verdict: Verdict) -> tuple[float, float, float]:
    """(middle, lower, upper end) of a verdict on a scale that all data share: the ratio of both sides, or the share.
    NaN where nothing is known, infinite where there is no end yet."""
    if isinstance(verdict.stated.claim, Explained):
        known = verdict.high - verdict.low < 1
        return verdict.size, verdict.low if known else -math.inf, verdict.high if known else math.inf
    if not math.isfinite(verdict.relative) or not verdict.relative:
        return math.nan, -math.inf, math.inf
    right = abs(verdict.size / verdict.relative)
    return 1 + verdict.relative, 1 + verdict.low / right, 1 + verdict.high / right


def cell(verdict: Verdict | None) -> str:
    """A verdict in a few words: "holds: −12 % (−15 to −9)"."""
    if verdict is None:
        return "–"
    middle, low, high = scale(verdict)
    if not math.isfinite(middle):
        return f"{verdict.said} ({verdict.why})" if verdict.why else verdict.said
    less = 0 if isinstance(verdict.stated.claim, Explained) else 1
    between = f" ({_percent(low - less)} to {_percent(high - less)})" if math.isfinite(high - low) else ""
    return f"{verdict.said}: {_percent(middle - less)}{NARROW}%{between}"


def _percent(share: float) -> str:
    text = f"{100 * share:z.{0 if abs(share) >= 0.1 else 1}f}"
    return text.replace("-", "−").removesuffix(".0")


def in_words(column: str) -> str:
    """What a metric is of, for a heading."""
    if source := naming.source(column):
        return f"samples from {naming.source_words(source)}"
    return "reconstructions" if naming.split_metric(column)[0] == "rec" else naming.label(column)


def called(studies: Sequence[StudyData]) -> list[str]:
    """What studies are told apart by: their data where these differ, else their names."""
    data = [str(study.manifest.get("data", {}).get("source", "")) for study in studies]
    return data if all(data) and len(set(data)) == len(data) else [study.name for study in studies]


def summary(study: StudyData, found: Sequence[Verdict]) -> str:
    """A study's evidence in a line: how many trials of what kind, and how many claims came out how."""
    trials = study.trials[study.trials["state"] == "finished"]
    fresh = sorted({verdict.n for verdict in found if not isinstance(verdict.stated.claim, Explained)})
    points = max((verdict.n for verdict in found if isinstance(verdict.stated.claim, Explained)), default=0)
    parts = [count(len(trials), "trial")]
    parts += (
        [
            f"comparisons by {_range(fresh)} fresh seed{'s' if fresh[-1] > 1 else ''}"
            if fresh[-1]
            else "no fresh seeds yet"
        ]
        if fresh
        else []
    )
    parts += [f"shares by {count(points, 'configuration')}"] if points else []
    parts += [f"on {' and '.join(devices)}"] if (devices := sorted(trials["device"].dropna().unique())) else []
    return f"{study.name}: {', '.join(parts)}. {outcome(found)}"


def _range(values: Sequence[int]) -> str:
    return number(values[0]) if len(values) == 1 else f"{values[0]} to {values[-1]}"
