"""Fresh seeds for claims, and until all is decided: a confirmation that knows what the study is to say.

What is undecided gets one seed after another, both sides of a claim the same. That the number of seeds depends on what
they show costs nothing: the claims' test holds at all looks together (`evae.search.anytime`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from evae.search import noise
from evae.search.claims import Known, Stated
from evae.search.confirmation import Confirmation, chosen
from evae.search.constraints import Constraint, keeps
from evae.search.job import CONFIRM, FIRST_FRESH, SEARCH
from evae.search.objectives import complete
from evae.search.replicates import by_seed
from evae.search.verdicts import Verdict, judge, known_before

if TYPE_CHECKING:
    from evae.recipe import Recipe
    from evae.search.configuration import Configuration
    from evae.search.space import Space

FEWEST = 2
"""Fresh seeds of what a claim is about: with one, nothing is known of their spread."""
MOST = 20
"""Fresh seeds of a configuration, without a budget."""


@dataclass(frozen=True)
class Deciding(Confirmation):
    """A confirmation that also gives fresh seeds to both sides of each of `claims`: as many as to what was chosen, and
    two at least.

    With `until_decided`, both sides of an undecided claim, and configurations whose place on the front is undecided,
    get one more, again and again: until all is decided, or all trials of the study together have taken `budget` hours,
    or without one, until they have `MOST`.
    """

    claims: Sequence[Stated] = ()
    until_decided: bool = False
    budget: float | None = None

    def wanted(self, configurations: Mapping[str, Configuration]) -> dict[str, int]:
        found = super().wanted(configurations)
        verdicts = self.verdicts(configurations)
        for verdict in verdicts:
            # Those that were there when it was stated do not count.
            least = max(self.seeds, FEWEST) + max(0, verdict.stated.first_seed - FIRST_FRESH)
            sides = _sides(verdict)
            known = (row for key in sides for row in configurations[key].fresh.values())
            before = {row["seed"] for row in known if known_before(row, verdict.stated)}
            for key in sides:
                found[key] = max(found.get(key, 0), least + len(before))
        if not self.until_decided or any(len(configurations[key].fresh) < n for key, n in found.items()):
            return found
        if self.spent(configurations) >= (math.inf if self.budget is None else self.budget):
            return found
        most = MOST if self.budget is None else math.inf
        for verdict in filter(_open, verdicts):
            next_one = 1 + max(len(configurations[key].fresh) for key in _sides(verdict))
            found |= {key: next_one for key in _sides(verdict) if next_one <= most}
        for key in undecided_places(configurations, self.objectives, self.constraints):
            next_one = 1 + len(configurations[key].fresh)
            found |= {key: max(found[key], next_one)} if next_one <= most else {}
        return found

    def verdicts(self, configurations: Mapping[str, Configuration]) -> list[Verdict]:
        """The verdict of each claim on the trials that have ended."""
        return judge(self.claims, rows_of(configurations)) if self.claims else []

    def spent(self, configurations: Mapping[str, Configuration]) -> float:
        """Hours that all trials together have taken, but for those that another study has trained."""
        rows = (row for c in configurations.values() for row in (*c.ended.values(), *c.fresh.values()))
        own = (row for row in rows if row.get("taken_study") is None)
        return sum(row.get("wall_s") or row.get("train_s") or 0.0 for row in own) / 3600

    def ending(self, configurations: Mapping[str, Configuration]) -> str:
        """Why no more seeds are wanted, in words; "" where it is not until all is decided."""
        if not self.until_decided:
            return ""
        verdicts = self.verdicts(configurations)
        left = [f"{sum(not v.decided for v in verdicts)} of {len(verdicts)} claims"] if verdicts else []
        places = len(undecided_places(configurations, self.objectives, self.constraints))
        if all(verdict.decided for verdict in verdicts) and not places:
            return "All is decided."
        left += [f"{places} places on the front"] if places else []
        spent = self.spent(configurations)
        if self.budget is not None and spent >= self.budget:
            why = f"the budget of {self.budget:g} hours of training is spent ({spent:.3g})"
        elif self.budget is None and any(len(c.fresh) >= MOST for c in configurations.values()):
            why = f"without --budget, {MOST} fresh seeds each are the most"
        else:
            why = "more seeds would not decide it"
        return f"Undecided: {' and '.join(left)}; {why}."


def _sides(verdict: Verdict) -> list[str]:
    """The keys of the two configurations that a verdict is about; none where seeds would not tell."""
    keys = [verdict.left, verdict.right]
    return keys if None not in keys and keys[0] != keys[1] else []


def _open(verdict: Verdict) -> bool:
    """Whether more seeds may decide a claim."""
    return not verdict.decided and not verdict.is_in_vain and bool(_sides(verdict))


def undecided_places(
    configurations: Mapping[str, Configuration],
    objectives: Sequence[tuple[str, str]],
    constraints: Sequence[Constraint] = (),
) -> list[str]:
    """The keys of chosen configurations of which fresh seeds do not tell whether they are on the front, and of those
    that may be ahead of them.

    One is off the front where `noise.beaten` says so, and on it where every other is behind it, by more than noise, in
    some objective. The level is that of one look: at twenty looks, in simulations, two to four times as many places of
    equal configurations are wrong.
    """
    among = [
        key
        for key in chosen(configurations, objectives, constraints)
        if keeps(complete(configurations[key].ended.values(), objectives), constraints)
    ]
    fresh, recipes = ({key: getattr(configurations[key], part) for key in among} for part in ("fresh", "recipe"))
    keys, values, groups = by_seed(fresh, recipes, objectives)
    if len(keys) < 2:
        return []
    means, noises = np.nanmean(values, axis=1), [noise.of(of, groups) for of in np.moveaxis(values, 2, 0)]
    ahead, tail = np.zeros((len(means), len(means)), bool), noise.ERROR / ((len(means) - 1) * means.shape[1])
    same = ~ahead  # in every objective and at every seed, but for rounding: no seed will tell them apart
    for of, about in zip(means.T, noises, strict=True):
        apart = of[None] - of[:, None]
        ahead |= apart > noise.critical(about, slice(None), slice(None), tail)
        least = noise.ROUNDING * np.maximum(np.abs(of)[None], np.abs(of)[:, None])
        same &= (np.abs(apart) <= least) & (np.maximum(about.error[None], about.error[:, None]) <= least)
    # Row i, column j: j may be ahead of i, whose place is not known.
    rivals = ~ahead & ~same & ~np.eye(len(means), dtype=bool) & ~noise.beaten(means, noises)[:, None]
    is_open = rivals.any(axis=1) | rivals.any(axis=0)
    return [key for key, undecided in zip(keys, is_open, strict=True) if undecided]


def rows_of(configurations: Mapping[str, Configuration]) -> list[dict[str, Any]]:
    """The trials that have ended, as verdicts read them."""
    found = []
    for key, of in configurations.items():
        posterior = of.recipe.posterior
        common = {"configuration": key, "label": of.label, "number": of.number, "origin": of.origin}
        common |= {"method": posterior.family, "kernel": getattr(posterior, "kernel", None), "params": of.params}
        for role, rows in ((SEARCH, of.ended), (CONFIRM, of.fresh)):
            found += [{**row, **common, "role": role, "seed": seed} for seed, row in rows.items()]
    return found


def known(space: Space, base: Recipe, recipes: Iterable[Recipe], total: int, measured: tuple[str, str | None]) -> Known:
    """What claims can be about in a study of `total` configurations of a space; `recipes` are some of its, `measured`
    the last two of `Known`."""
    posteriors = [recipe.posterior for recipe in recipes]
    return Known(
        tuple(control.label for control in space.controls[:total]),
        tuple(sorted({posterior.family for posterior in posteriors})),
        tuple(sorted({p.kernel for p in posteriors if getattr(p, "kernel", None)})),
        tuple(space.describe(base)),
        *measured,
    )
