"""What is counted as the search goes on is what a look at all configurations finds."""

import pytest
from driving import OBJECTIVES, drive, good, searcher, straight

from evae.search.confirmation import Confirmation
from evae.search.constraints import Constraint, violations
from evae.search.objectives import complete, means
from evae.search.rungs import Rungs
from evae.search.searcher import StudySearcher

LIMITS = [Constraint("a <= 3", "a", True, 3.0)]
WAYS = {
    "plain": {"seeds": 2},
    "race": {"seeds": 3, "race": True},
    "rungs": {"seeds": 2, "rungs": True},
    "confirmed": {"confirmation": Confirmation(2, OBJECTIVES, race=True)},
    "constrained": {"seeds": 2, "constraints": LIMITS, "confirmation": Confirmation(2, OBJECTIVES, False, LIMITS)},
}


def check(search: StudySearcher) -> None:
    """All counts, against all configurations."""
    tally, every = search.tally, search.configurations.values()
    rows = {c.key: complete(c.ended.values(), search.objectives) for c in every}
    assert tally.wanted == sum(c.wanted for c in every)
    assert tally.ended == sum(len(c.ended) + len(c.fresh) for c in every)
    assert tally.fresh == sum(len(c.fresh.keys() | c.asked) for c in every)
    assert tally.told == sum(c.told for c in every)
    assert tally.known == {key for key in rows if rows[key]}
    broken = {key: violations(rows[key], search.constraints) for key in tally.known}
    assert tally.within == {key for key in broken if all(by <= 0 for by in broken[key])}
    for c in every:
        assert search.means(c) == (means(rows[c.key], search.objectives) if rows[c.key] else None)
        assert search.violations(c) == violations(rows[c.key], search.constraints)


def made(way: str, **more) -> StudySearcher:
    given = WAYS[way] | more
    if given.get("rungs"):
        given["rungs"] = Rungs("halving", 9, OBJECTIVES)
    return searcher(total=12, sampler="random", **given)


@pytest.mark.parametrize("way", WAYS)
def test_counts_are_those_of_all_configurations_at_every_end_and_after_a_restart(way):
    search = made(way)

    def score(job):
        check(search)
        if job.number == 5:
            return {"state": "diverged"}
        return (straight if way == "race" else good)(job)

    rows = drive(search, score)
    check(search)
    assert search.planned == search.done == len(rows) >= 12
    again = made(way, history=rows[: len(rows) // 2])
    check(again)
    drive(again, score)
    check(again)
