"""The pool of a study: finished trials of other studies, taken instead of being trained."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from evae.errors import UserError
from evae.identity import CONDITIONS, identity
from evae.optimisation import PRECISIONS
from evae.recipe import Recipe
from evae.results.offers import Offers
from evae.results.store import Store, Unreachable, to_json
from evae.search.job import Job, Kept
from evae.search.past import Told
from evae.search.pool import Pool, Taken
from evae.study import taking
from evae.study.covered import Wanted

REASONS = 5
"""How many trials that could not be taken are named."""


@dataclass
class StudyPool(Pool):
    """Takes trials of `offers` into the study's own `store`, and says what its own finished trials lack.

    `precision` says in which arithmetic a recipe is trained here, and `here` under which conditions; both are set once
    the machines are known. Of these, a trial must have run under the `same`. A pool that `copies` nothing only looks.
    """

    offers: Offers
    store: Store
    study: str
    digest: str
    wanted: Wanted
    same: Sequence[str] = ()
    keep_weights: bool = True
    told: Sequence[Told] = ()
    first: bool = False
    copies: bool = True
    precision: Callable[[Recipe], str] = lambda recipe: recipe.optimisation.precision
    here: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.refused: dict[str, str] = {}
        self.gone: dict[str, str] = {}
        """Why, by place, nothing is taken from a store any more: each try at a server that is away takes seconds."""
        self.missed = 0
        self.from_where: Counter[tuple[str, str]] = Counter()
        self.measured: Counter[str] = Counter()
        self.nbytes = self.without_weights = 0
        self.weighed = self.store.sizes("weights", ".safetensors").keys()
        self.own: dict[str, Mapping[str, Any]] = {}
        self.unmeasurable: Counter[str] = Counter()

    def lacks(self, row: Mapping[str, Any], recipe: Recipe) -> bool:
        lacking = replace(self.wanted, plugins={}).lacks(row, recipe.evaluation)
        if lacking is None:
            return False
        if row["trial"] not in self.weighed:
            self.unmeasurable[lacking] += 1
            return False
        self.own[row["trial"]] = row
        return True

    def take(self, job: Job) -> Job | Taken:
        if (row := self.own.get(job.trial)) is not None:
            self.measured[self.study] += 1
            plain = row | {name: to_json(row[name]) for name in ("params", "recipe")}
            return replace(job, kept=Kept(self.store, job.trial, plain, of_study=True))
        recipe = Recipe.from_dict(job.recipe)
        precision = self.precision(recipe)
        named = identity(job.recipe, self.digest, precision)
        if named not in self.offers.found:
            for other in {*PRECISIONS} & self.offers.precisions - {precision}:
                if identity(job.recipe, self.digest, other) in self.offers.found:
                    self.refused[job.trial] = f"it was trained in {other}, and here in {precision}"
            return job
        try:
            return self._taken(job, recipe, named)
        except (taking.Refused, UserError) as error:
            self.refused[job.trial] = str(error)
            return job

    def _taken(self, job: Job, recipe: Recipe, named: str) -> Job | Taken:
        if (offer := self._offer(job, named)) is None:
            self.missed += 1
            return job
        store, row = offer
        try:
            return self._given(job, recipe, named, store, row)
        except Unreachable as error:
            self.gone[store.location] = str(error)
            return self._taken(job, recipe, named)
        except taking.Refused as error:
            raise taking.Refused(f"{_named(store, row)}: {error}") from None

    def _given(self, job: Job, recipe: Recipe, named: str, store: Store, row: dict[str, Any]) -> Job | Taken:
        """What is taken of a row of the pool. Raises Refused for weights that are not of it, and Unreachable where the
        store has gone away."""
        data = taking.weights(store, row["trial"], row, named) if self.keep_weights else None
        lacking = self.wanted.lacks(row, recipe.evaluation)
        place = taking.origin(store, row)
        if lacking is not None:
            if data is None and taking.weights(store, row["trial"], row, named) is None:
                raise taking.Refused(f"it lacks {lacking}, and its weights were not kept")
            self.measured[place["taken_study"]] += 1
            own = taking.as_own(self.study, job, row, place)
            return replace(job, kept=Kept(store, row["trial"], own, of_study=False))
        if self.copies:
            own = taking.copy(store, self.store, self.study, job, row, data)
        else:
            own = taking.as_own(self.study, job, row, place)
        self.nbytes += len(data or b"")
        self.without_weights += self.keep_weights and data is None
        self.from_where[place["taken_study"], place["taken_from"]] += 1
        return job, own

    def _offer(self, job: Job, named: str) -> tuple[Store, dict[str, Any]] | None:
        """The trial of that identity that ran most as one would here; of equals the first that was trained. None where
        all stores that have it have gone away. Raises Refused where none can be taken, and where two that should be the
        same are not."""
        found, why = [], []
        for index, trial in self.offers.found[named]:
            store = self.offers.stores[index]
            if store.location in self.gone:
                continue
            try:
                found.append((store, taking.read(store, trial, job, named)))
            except Unreachable as error:
                self.gone[store.location] = str(error)
            except taking.Refused as error:
                why.append(f"{store.location}, {trial}: {error}")
        if not found and not why:
            return None
        for store, row in found[1:]:
            if what := taking.differing(found[0][1], row):
                raise taking.Refused(f"{_named(*found[0])} and {_named(store, row)} are the same trial, and {what}")
        unlike = {i: [n for n in CONDITIONS if row.get(n) != self.here.get(n)] for i, (_, row) in enumerate(found)}
        fitting = [i for i in unlike if not set(unlike[i]) & set(self.same)]
        if not fitting:
            why += [f"{_named(*found[i])} ran with another {' and '.join(unlike[i])}" for i in unlike]
            raise taking.Refused("; ".join(why))
        return found[min(fitting, key=lambda i: (len(unlike[i]), found[i][1]["ended_at"]))]

    def said(self) -> list[str]:
        """What was taken from where, and what could not be, in lines; or what will be."""
        lines = [f"{self._were(n)} taken from study {study} ({place})" for (study, place), n in self.from_where.items()]
        if self.without_weights:
            lines.append(f"{self.without_weights} of these are without weights, which were not kept there")
        if self.nbytes > 1 << 20:
            lines.append(f"weights of {self.nbytes / 2**20:,.0f} MiB were copied")
        measured = f"{'' if self.copies else 'will be '}measured from kept weights, not trained"
        lines += [f"{n} of study {study} {measured}" for study, n in self.measured.items()]
        lines += [f"nothing more was taken from a place of the pool: {why}" for why in self.gone.values()]
        if self.missed:
            lines.append(f"{self._were(self.missed)} trained that only such places have")
        refused = list(self.refused.items())
        was = "was" if self.copies else "will be"
        lines += [f"{trial} {was} trained, though the pool has it: {why}" for trial, why in refused[:REASONS]]
        return lines + ([f"and {len(refused) - REASONS} more"] if len(refused) > REASONS else [])

    def _were(self, n: int) -> str:
        """So many trials, up to what became of them."""
        if not self.copies:
            return f"{n} trial{'' if n == 1 else 's'} will be"
        return "1 trial was" if n == 1 else f"{n} trials were"


def _named(store: Store, row: Mapping[str, Any]) -> str:
    return f"{row['trial']} of {store.location}"
