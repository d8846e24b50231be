"""What the study says of the claims that were stated for it: the table that the report begins with."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.study import columns
from analysis.study.load import StudyData, parse
from analysis.study.naming import NARROW, count, number
from evae.search.claims import Explained, Stated
from evae.search.job import CONFIRM
from evae.search.noise import ERROR
from evae.search.verdicts import FAILS, HOLDS, UNDECIDED, Row, Verdict, evidence, judge, relative, taking

COLUMNS = ("claim", "verdict", "size", "interval", "evidence", "stated", "taking", "left", "right")


def stated(study: StudyData) -> list[Stated]:
    """The claims of all sessions, each as it was stated first; what cannot be read is left out."""
    found: dict[tuple, Stated] = {}
    for text in study.sessions["claims"]:
        for plain in parse(text, []):
            try:
                claim = Stated.from_dict(plain)
            except (KeyError, TypeError, ValueError):
                continue
            found.setdefault(claim.claim.key, claim)
    return list(found.values())


def verdicts(study: StudyData) -> list[Verdict]:
    """The verdict of each claim."""
    claims = stated(study)
    return judge(claims, _rows(study, claims)) if claims else []


def table(found: list[Verdict]) -> pd.DataFrame:
    """A row of words for each verdict, those that are decided first: `COLUMNS`; `left` and `right` are (configuration,
    name), or None."""
    ordered = sorted(found, key=lambda verdict: not verdict.decided)
    return pd.DataFrame([_words(verdict) for verdict in ordered], columns=list(COLUMNS))


def outcome(found: Sequence[Verdict]) -> str:
    """How many claims came out how, in a sentence."""
    said = []
    for verdict, one, many in (
        (HOLDS, "holds", "hold"),
        (FAILS, "does not hold", "do not hold"),
        (UNDECIDED, "is undecided", "are undecided"),
    ):
        times = sum(each.said == verdict for each in found)
        said.append(f"{times} {one if times == 1 else many}")
    return f"Of {count(len(found), 'claim')} {', '.join(said)}."


def numbers(found: list[Verdict]) -> pd.DataFrame:
    """The same as numbers, for elsewhere: claim, verdict, metric, size, relative, low, high, n, stated_after (trials),
    more, hours, why."""
    return pd.DataFrame(
        {
            "claim": verdict.stated.claim.text,
            "verdict": verdict.said,
            "metric": verdict.stated.claim.metric,
            **{name: getattr(verdict, name) for name in ("size", "relative", "low", "high", "n")},
            "stated_after": verdict.stated.trials,
            "more": verdict.more,
            "hours": verdict.hours,
            "why": verdict.why,
        }
        for verdict in found
    )


def notes(study: StudyData, found: list[Verdict]) -> list[str]:
    """What the verdicts suppose and how often they are wrong, and how the seeds came to be as many as they are."""
    if not found:
        return []
    shares, late = (any(map(of, found)) for of in (lambda v: isinstance(v.stated.claim, Explained), _is_late))
    text = []
    compared = [verdict for verdict in found if not isinstance(verdict.stated.claim, Explained)]
    if compared and not any(verdict.n or verdict.apart for verdict in compared):
        text.append("Nothing is confirmed: no comparison has fresh seeds of both its sides yet.")
    if compared:
        text.append(
            "Comparisons rest on fresh seeds alone, which took no part in the search: differences on the test split at "
            "the same seed, by a sequential t test that may be looked at at any time (Wang & Ramdas, Sequential "
            "Analysis 44 (2025), 56-110). It supposes differences that are about normal. A size is the left side less "
            "the right one, with its factor if it has one, and as a share of that."
        )
    if shares:
        text.append(
            "A parameter's share is that of the variance of the ranks that it explains by itself, among the "
            "configurations that the search drew, on the values that it saw; looked at with 20, 40, 80, ... of them. "
            "In a grid, whose points are set independently of each other, what other parameters explain is no noise."
        )
    many = {1: "It is", 2: "Both claims together are"}.get(len(found), f"All {len(found)} claims together are")
    each = f", each in {number(100 * ERROR / len(found), 2)}{NARROW}%" if len(found) > 1 else ""
    text.append(
        f"{many} decided wrongly in {100 * ERROR:.0f}{NARROW}% of studies at most{each}, however often one looks and "
        "whenever one stops; intervals hold at all looks together."
    )
    devices = sorted(study.trials["device"].dropna().unique())
    if len(devices) > 1:
        text.append(
            f"Trials ran on {' and '.join(devices)}: a seed counts for a comparison where both sides ran on the same "
            "kind of device and in the same arithmetic; shares are of all configurations."
        )
    if late:
        text.append("Of a claim that was stated when there were results, only what was trained after that counts.")
    return [" ".join(text), *filter(None, [_ending(study, found)])]


def _ending(study: StudyData, found: list[Verdict]) -> str:
    """Why claims stay undecided in a study that was to go on until all is decided; "" where that is not so."""
    options = study.manifest.get("options", {})
    left, budget = sum(not verdict.decided for verdict in found), options.get("budget")
    if options.get("until") != "decided" or not left or study.running:
        return ""
    text = f"Fresh seeds were to be trained until all is decided; {count(left, 'claim')} "
    text += "stays undecided" if left == 1 else "stay undecided"
    hours = study.trained_here["wall_s"].sum() / 3600
    if isinstance(budget, int | float) and hours >= budget:
        return f"{text}: the budget of {budget:g} hours of training is spent."
    return f"{text}."


def _is_late(verdict: Verdict) -> bool:
    return verdict.stated.trials > 0


def _rows(study: StudyData, claims: list[Stated]) -> list[Row]:
    """The trials as `judge` reads them; without fresh seeds of fewer epochs than the search has asked of since."""
    trials = study.trials
    measured = {name for claim in claims for name in (claim.claim.metric, f"val_{claim.claim.metric}")} & set(trials)
    trials = trials.assign(**{name: columns.numbers(trials[name]) for name in measured})
    own = trials["epochs_planned"].where(trials["role"] != CONFIRM)
    most = own.groupby(trials["configuration"]).transform("max")
    known = trials["seed"].notna() & trials["number"].notna() & trials["configuration"].notna()
    trials = trials[known & ~((trials["role"] == CONFIRM) & (trials["epochs_planned"] < most))]
    found = trials.replace({np.nan: None}).to_dict("records")
    for row in found:
        row["params"] = parse(row["params"], {})
        row["origin"] = row["origin"] or "searched"
    return found


def _words(verdict: Verdict) -> dict[str, object]:
    claim, share = verdict.stated.claim, isinstance(verdict.stated.claim, Explained)
    if not math.isfinite(verdict.size):
        size = "–"
    else:
        size = f"{number(100 * verdict.size, 2)}{NARROW}%" if share else f"{_signed(verdict.size)}{relative(verdict)}"
    ends = [number(100 * end, 2) if share else _signed(end) for end in (verdict.low, verdict.high)]
    known = math.isfinite(verdict.high - verdict.low) and (not share or verdict.high - verdict.low < 1)
    later = verdict.stated.trials
    sides = zip((verdict.left, verdict.right), verdict.names, strict=True)
    left, right = (None if key is None else (key, name) for key, name in sides)
    return {
        "claim": claim.text,
        "verdict": verdict.said,
        "size": size,
        "interval": f"{ends[0]} to {ends[1]}{f'{NARROW}%' if share else ''}" if known else "–",
        "evidence": evidence(verdict),
        "stated": f"after {count(later, 'trial')}" if later else "before results",
        "taking": "" if verdict.decided else taking(verdict),
        "left": left,
        "right": right,
    }


def _signed(value: float) -> str:
    return number(value).replace("-", "−")
