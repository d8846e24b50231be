"""Samples from the prior and from densities on codes: where they order configurations differently, which of them are
copies of training images, and what could not be fitted."""

from dataclasses import replace

import pandas as pd

from analysis.study import identities, naming, tables, words
from analysis.study.load import StudyData
from analysis.study.naming import Objective, count, number, source, source_words

COPIES = 0.5
"""Samples whose distance to the nearest training image or code is below this share of new images' are called copies:
for draws of what the training images are drawn from, in about 2 % of models at most, which is with one latent
(benchmarks/results/copies.md)."""
ENOUGH = 50
"""Samples: of fewer, the share is too uncertain."""
RATIOS = ("nearest_image_ratio", "nearest_code_ratio")


def other_sources(study: StudyData) -> dict[str, list[Objective]]:
    """The objectives by what else samples were drawn from: each objective of samples is that of this source, where all
    of them were measured. Objectives that differ in their source alone become one."""
    finished = study.trials[study.trials["state"] == "finished"]
    of_samples = [o for o in study.objectives if source(o.metric)]
    known = [c for c in finished if source(c) and not c.startswith("val_") and finished[c].notna().any()]
    found = {}
    for other in dict.fromkeys(source(column) for column in known):
        swapped = {o: _from(other, o) for o in of_samples}
        if of_samples and all(o.metric in known for o in swapped.values()) and set(swapped.values()) - set(of_samples):
            found[other] = list(dict.fromkeys(swapped.get(o, o) for o in study.objectives))
    return found


def _from(source: str, objective: Objective) -> Objective:
    """An objective of samples, of those from this source."""
    return replace(objective, metric=f"{source}_{naming.split_metric(objective.metric)[1]}")


def others(study: StudyData) -> list[Objective]:
    """What `other_sources` has beside the study's objectives."""
    every = (o for objectives in other_sources(study).values() for o in objectives)
    return [o for o in dict.fromkeys(every) if o not in study.objectives]


def of_source(study: StudyData, objectives: list[Objective]) -> pd.DataFrame:
    """`tables.configurations` by these objectives; by test values where the search did not look at one of them."""
    return tables.configurations(replace(study, objectives=objectives))


def copies(study: StudyData, table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The configurations whose samples are copies, the most of them first, by their source: columns name, ratio."""
    known = identities.table(study)
    found = {}
    for column in (c for c in table if source(c) and naming.split_metric(c)[1] in RATIOS):
        drawn = known.loc[known["metric"].map(source) == source(column), "n_generated"]
        few = pd.to_numeric(drawn, errors="coerce").min() < ENOUGH
        ratio = table[column].astype(float)
        copied = table.assign(ratio=ratio)[ratio < COPIES][["name", "ratio"]]
        # The training codes themselves are shown as what copies look like.
        if len(copied) and not few and source(column) != "xpd_codes":
            rows = pd.concat([found.get(source(column), copied.iloc[:0]), copied])
            found[source(column)] = rows.sort_values("ratio").drop_duplicates("name")
    return found


def said(study: StudyData, table: pd.DataFrame) -> str:
    """In words: where the order hangs on what is sampled from, copies, and densities that could not be fitted."""
    text = [_order(study, table, other, objectives) for other, objectives in other_sources(study).items()]
    for where, rows in copies(study, table).items():
        first = rows.iloc[0]
        more = f" and {count(len(rows) - 1, 'more configuration')}" if len(rows) > 1 else ""
        text.append(
            f"Samples from {source_words(where)} of {first['name']}{more} are copies of training images: they are "
            f"{naming.times(first['ratio'])} new images' distance from the nearest."
        )
    lost = study.trials["not_fitted"].dropna() if "not_fitted" in study.trials else pd.Series(dtype=object)
    for reason, n in lost.value_counts().items():
        text.append(f"Of {count(n, 'trial')} there are no samples from a density: {reason}.")
    return " ".join(filter(None, text))


def _order(study: StudyData, table: pd.DataFrame, other: str, objectives: list[Objective]) -> str:
    """Whether the best of the first objective of samples is another by samples from another source, beyond noise."""
    own = next(o for o in study.objectives if source(o.metric) not in ("", other))
    swapped = _from(other, own)
    parts = []
    here, there = tables.best(table, own), tables.best(of_source(study, objectives), swapped)
    for order, objective, rivals in ((here, own, there), (there, swapped, here)):
        places = order["name"].isin(rivals["name"].head(1)).to_numpy().nonzero()[0]
        if not len(places):
            return ""
        best, rival = order.iloc[0], order.iloc[places[0]]
        gap = objective.sign * (rival[objective.metric] - best[objective.metric])
        # NaN without replicates, which nothing is above.
        if not gap > words.apart_by(order, objective)[places[0]]:
            return ""
        values = f"{number(best[objective.metric])} against {number(rival[objective.metric])}"
        parts.append(f"from {source_words(source(objective.metric))} {best['name']} ({values})")
    return (
        f"Which configuration is best in {own.label} depends on what is sampled: of samples {parts[0]}, of samples "
        f"{parts[1]}, both by more than noise."
    )
