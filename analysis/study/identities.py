"""What each distance, accuracy and likelihood of a study hangs on, and the least that it can be expected to be."""

import functools
import json
from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.study.load import StudyData, parse
from analysis.study.naming import ON_FEATURES, is_accuracy, is_kernel_distance, is_likelihood, source, split_metric

OF_DISTANCES = ("features", "digest", "resize", "n_real", "n_generated", "split", "seed", "pairs", "density")
"""What must agree for two distances to compare."""
OF_ACCURACIES = ("labels", "n_labels", "n_measured", "split", "seed")
"""What must agree for two accuracies to compare."""
OF_LIKELIHOODS = ("samples", "n_measured", "split", "seed")
"""What must agree for two bounds of the log likelihood to compare."""
KEYS = tuple(dict.fromkeys(OF_DISTANCES + OF_ACCURACIES + OF_LIKELIHOODS))


def table(study: StudyData) -> pd.DataFrame:
    """The distinct identities of each distance, accuracy and likelihood: metric, those of `KEYS`, floor (of an
    accuracy what guessing gets), floor_sd (of what scatters around its floor), n (trials measured so). More than one
    row for a metric means that its values must not be compared.
    """
    # Most trials have the same text: each is parsed once, and a report asks ten times.
    return _table(tuple(study.trials["distances"].value_counts(sort=False).items())).copy()


@functools.lru_cache(maxsize=4)
def _table(texts: tuple[tuple[str, int], ...]) -> pd.DataFrame:
    """The same of these texts, each with the number of trials that have it."""
    columns = ["metric", *KEYS, "floor"]
    rows = []
    for text, n in texts:
        for metric, identity in parse(text, {}).items():
            if isinstance(identity, dict):
                # Version 0.1 counted a reconstruction and its own image among the pairs of any two.
                own = {key: identity.get(key) for key in KEYS} | {"pairs": identity.get("pairs") or "counted"}
                own |= {"density": identity.get("density") and json.dumps(identity["density"], sort_keys=True)}
                spread = identity.get("floor_sd")
                rows.append({"metric": metric, **own, "floor": _floor(metric, identity), "floor_sd": spread, "n": n})
    found = pd.DataFrame(rows, columns=[*columns, "floor_sd", "n"])
    found["floor_sd"] = pd.to_numeric(found["floor_sd"], errors="coerce")
    groups = found.groupby(columns, dropna=False, sort=False)
    return groups.agg(floor_sd=("floor_sd", "max"), n=("n", "sum")).reset_index()


def of_metric(study: StudyData, metric: str) -> pd.DataFrame:
    """The rows of `table` of a metric; of one that is taken on the features of a trial's distances, as precision
    is, those of the Fréchet distance on them. None for a metric that has no identity."""
    known = table(study)
    rest = split_metric(metric)[1]
    if rest not in ON_FEATURES:
        return known[known["metric"] == metric]
    side = metric.removesuffix(rest)
    found = known[known["metric"].astype(str).str.startswith((f"{side}fd_", f"{side}fid"))]
    own = study.manifest.get("options", {}).get("features")
    return found[found["features"] == own] if own in set(found["features"]) else found


def _floor(metric: str, identity: Mapping[str, Any]) -> Any:
    """What a distance cannot be expected to fall below. Stores of version 0.1 give a floor that is the Fréchet
    distance's of samples for all of them: reconstructions are of the same images, and a kernel distance is unbiased.
    """
    if is_accuracy(metric):
        return identity.get("chance")
    if is_likelihood(metric):
        return None
    return identity.get("floor") if source(metric) and not is_kernel_distance(metric) else 0.0


def floor(study: StudyData, metric: str) -> float:
    """What nothing can be expected to fall below: of samples the distance between two sets of real images at the
    sample count in use, of reconstructions 0. A kernel distance scatters around it, see `floor_sd`. NaN where it is not
    known.
    """
    return _of_identities(study, metric, "floor")


def floor_sd(study: StudyData, metric: str) -> float:
    """The standard deviation of the kernel distance between two sets of real images; NaN where it is not known."""
    return _of_identities(study, metric, "floor_sd")


def _of_identities(study: StudyData, metric: str, column: str) -> float:
    known = table(study)
    return float(pd.to_numeric(known.loc[known["metric"] == metric, column], errors="coerce").mean())
