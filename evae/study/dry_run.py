"""What a dry run says: which trials the pool has, and what the others will cost."""

from collections.abc import Sequence

from evae.data.base import ImageSet
from evae.recipe import Recipe
from evae.search.pool import take_what_is_certain
from evae.search.searcher import StudySearcher
from evae.study.forecast import NOTHING, forecast
from evae.study.offered import settle
from evae.study.options import StudyOptions
from evae.study.pool import StudyPool


def planned(
    searcher: StudySearcher, options: StudyOptions, images: ImageSet, pool: StudyPool, recipes: Sequence[Recipe]
) -> list[str]:
    """In lines, what a study will take from its pool, and what its other trials will cost; some of its `recipes` are
    tried for that. The searcher is of no use afterwards."""
    demand, lines, measured = options.demand(), [], 0
    left = searcher.planned - searcher.done
    if len(pool.offers) or pool.own:
        settle(pool, images, options.features, demand.device, demand.threads, demand.workers)
        jobs = take_what_is_certain(searcher)
        measured = sum(job.kept is not None for job in jobs)
        before, left = left, searcher.planned - searcher.done - measured
        more = "" if searcher.all_drawn else ", and what else of it the search comes to"
        lines = pool.said()
        if before:
            lines.append(f"of {before} trials, {searcher.taken} will be taken from the pool{more}")
    if not left and not measured:
        return [*lines, f"dry run: nothing is to be trained or measured; {NOTHING}"]
    return [*lines, forecast(demand, recipes, images, left, options.keep, measured)]
