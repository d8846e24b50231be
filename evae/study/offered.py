"""The pool of a study as it begins: what is there, and what its sampler is told of."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from evae.data.base import ImageSet
from evae.errors import UserError
from evae.hardware import processor
from evae.identity import CONDITIONS
from evae.lazy import torch
from evae.metrics.base import METRICS
from evae.plugins import digests
from evae.recipe import Recipe
from evae.results.offers import Offers, gathered
from evae.results.store import Store
from evae.search.job import is_fresh
from evae.search.past import Told
from evae.study.covered import Wanted, looked_at
from evae.study.options import StudyOptions
from evae.study.pool import StudyPool

MOST_TOLD = 1000
"""Of so many trials of the pool, the newest, the sampler is told: its suggestions take longer with each."""


def open_pool(options: StudyOptions, store: Store, images: ImageSet) -> StudyPool:
    """The pool of a study with these options; raises UserError for places that are none."""
    offers = gathered(options.pool, options.results, store, images.digest)
    searched = [f"val_{metric}" for metric in looked_at(options)]
    adding = {METRICS.plugin_of(name) for name in METRICS.of_plugins()}
    labels = images.labels.digest if images.labels is not None else None
    wanted = Wanted(searched, digests(name for name in adding if name is not None), labels=labels)
    known = list(told(offers, searched, wanted)) if len(offers) else []
    given = {
        # What a model takes on another machine says nothing of this one.
        "same": CONDITIONS if options.measures_cost else options.pool_same,
        "keep_weights": options.keep != "none" and not options.dry_run,
        "copies": not options.dry_run,
        "told": known,
        "first": options.pool_first,
    }
    return StudyPool(offers, store, options.name, images.digest, wanted, **given)


def settle(pool: StudyPool, images: ImageSet, features: str, device: str, threads: int, workers: int) -> None:
    """Tell the pool what trials run on here, and which network distances are taken on."""
    from evae.macs import arithmetic
    from evae.metrics.features import load_features

    on = torch.device(device)
    pool.precision = partial(arithmetic, image_size=images.image_size, channels=images.channels, device=on)
    pool.here = {"device": on.type, "processor": processor(on), "threads": threads, "workers": workers}
    if images.kind != "points":
        pool.wanted = replace(pool.wanted, features=load_features(features).digest)


def said(pool: StudyPool, claims: bool) -> list[str]:
    """What there is, in lines; and what it is to `claims`, if any were stated."""
    offers = pool.offers
    lines = list(offers.notes)
    if len(offers):
        studies = len({place for of in offers.found.values() for place, _ in of})
        lines.append(
            f"pool: {len(offers.found):,} finished trials on these images, of {studies} other "
            f"{'study' if studies == 1 else 'studies'}: what this one would train and they have is taken from there "
            "(--pool none: all is trained)"
        )
        if claims:
            lines.append("what the pool had before a claim was stated counts for nothing in its verdict")
    return lines + [f"{number:,} trials of the pool are not taken: {why}" for why, number in offers.others.items()]


def told(offers: Offers, metrics: Sequence[str], wanted: Wanted) -> Iterator[Told]:
    """The newest configurations that the pool has searched, by their recipes without the seed, in the order in which
    they were trained, with these metrics."""
    # A rate counts as what it is said to be.
    more = [*metrics, *(name.replace("rate_nats", "rate_is") for name in metrics if name.endswith("rate_nats"))]
    rows = [row for index in range(len(offers.stores)) for row in offers.newest(index, more, MOST_TOLD)]
    rows = sorted(
        (row for row in rows if isinstance(row["ended_at"], datetime) and not is_fresh(row)),
        key=lambda r: r["ended_at"],
    )
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows[-MOST_TOLD:]:
        try:
            row |= {name: json.loads(row[name]) for name in ("params", "recipe")}
            row |= {name: None if row[name] is None else float(row[name]) for name in metrics}
            key = json.dumps(row["recipe"] | {"seed": None}, sort_keys=True)
            known = groups.setdefault(key, [])
        except (TypeError, ValueError, AttributeError):
            continue
        if all(row["seed"] != other["seed"] for other in known):
            known.append(row)
    for group in groups.values():
        try:
            recipe = Recipe.from_dict(group[0]["recipe"])
        except UserError:
            continue
        usable = [row for row in group if wanted.lacks(row, recipe.evaluation) is None]
        if usable and isinstance(params := usable[0]["params"], dict):
            yield Told(params, recipe, usable)
