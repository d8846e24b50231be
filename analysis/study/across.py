"""Named configurations on several data sets: what each is against a reference on each of them, and on all together.

Distances of different data have different scales, so that their values do not compare. What does is the effect of a
configuration against a reference that was trained on the same data, in the same study.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from analysis.study import agreement, identities, tables
from analysis.study.load import StudyData
from analysis.study.naming import Objective, is_accuracy, label, split_metric
from analysis.study.random_effects import holm, together
from evae.errors import unknown
from evae.search.noise import ERROR, ROUNDING, Noise, critical

DEFAULT = "VAE"
"""The label of the reference, where the studies have it."""
SAME_SCALE = ("psnr_db", "ssim", "sharpness_gap", "precision", "recall", "coverage")
"""Metrics that, like accuracies, have one scale on all data, so that differences compare."""
PART_OF = {"mnist-5k": "mnist"}
"""Data sources that are a part of another one's images."""
CLEAR = 2
"""Standard errors that means have to be from 0 for their ratios to mean something."""
EFFECTS = ["objective", "label", "study", "effect", "error", "half", "enters"]
COMBINED = ["objective", "label", "n", "effect", "half", "tau", "half_of_another", "chance", "differs"]


@dataclass(frozen=True)
class Across:
    """Effects of `labels` against `reference`; without labels there is nothing to compare.

    `effects` has a row for each objective, label and study (by place): effect, error, half (of a 95 % interval of this
    one alone), both NaN without replicates, and enters (whether it is combined). `combined` has one for each objective
    and label: n (data sets), effect, half, tau, half_of_another (see `random_effects.Together`; NaN with fewer than two
    data sets), chance (its p-value, adjusted over all rows, Holm) and differs (whether that is 5 % at most: where
    nothing differs in truth, something is said to in 5 % of comparisons at most). `scales` says what an effect is: the
    logarithm of a "ratio" of means; a "difference"; or a difference as "share" of the metric's size on these data, the
    root of the mean square over the labels. `notes` are sentences on what was left out, and why.
    """

    reference: str
    labels: tuple[str, ...]
    effects: pd.DataFrame
    combined: pd.DataFrame
    scales: Mapping[Objective, str]
    notes: tuple[str, ...]


def across(
    studies: Sequence[StudyData], names: Sequence[str], objectives: Sequence[Objective], against: str | None = None
) -> Across:
    """The effects of the labels that two studies or more have; `names` are what the studies are called.

    The reference is `against`, or else "VAE", or else the first control. Raises UserError when no two studies have a
    configuration labelled `against`.
    """
    named, notes = _named(studies, names, objectives)
    labels = _shared(named)
    if against is not None and against not in labels:
        raise unknown("configuration of two studies or more", against, labels)
    reference = against or _reference(named, labels)
    if len(labels) > 1:
        alone = {name for table in named for name in table.index} - {*labels}
        notes += [f"In one study only: {', '.join(sorted(alone))}."] if alone else []
        described = [agreement.described(study, table) for study, table in zip(studies, named, strict=True)]
        kept, said = agreement.agreeing(names, described, reference)
        notes += said
        named = [table[table["label"].isin(of)] for table, of in zip(named, kept, strict=True)]
        labels = _shared(named)
    named = [table[table["label"].isin(labels)] for table in named]
    labels = [name for name in labels if name != reference]
    if not labels:
        notes.append("No two studies have two named configurations in common, so there are no effects to compare.")
    scales = {objective: _scale(named, objective) for objective in objectives}
    alike = _data_sets(studies)
    rows = [
        row
        for objective, scale in scales.items()
        for name in labels
        for row in _effects(named, alike, objective, scale, name, reference)
    ]
    effects = pd.DataFrame(rows, columns=EFFECTS)
    notes += [*_of_data(names, alike), *_without_intervals(names, effects), *_few(effects)]
    return Across(reference, tuple(labels), effects, _combined(effects), scales, tuple(notes))


def _named(
    studies: Sequence[StudyData], names: Sequence[str], objectives: Sequence[Objective]
) -> tuple[list[pd.DataFrame], list[str]]:
    """Of each study the rows of `tables.configurations` that have a label, by label, and what is said of the rest."""
    found, said = [], []
    for study, name in zip(studies, names, strict=True):
        if study.running:
            said.append(f"{name} was still running.")
        table = tables.configurations(replace(study, objectives=list(objectives)))
        table = table[table["label"].notna()].set_index("label", drop=False)
        twice = table.index[table.index.duplicated()].unique()
        if len(twice):
            said.append(f"{name} has more than one configuration called {' and '.join(twice)}: left out.")
        table = table.drop(index=twice)
        for metric in (o.metric for o in objectives if len(identities.of_metric(study, o.metric)) > 1):
            said.append(f"{name} took its {label(metric)} in more than one way, so it is left out.")
            table[metric] = math.nan
        found.append(table)
    return found, said


def _shared(named: Sequence[pd.DataFrame]) -> list[str]:
    """The labels that two studies or more have, in order of first appearance."""
    every = [name for table in named for name in table.index]
    return [name for name in dict.fromkeys(every) if every.count(name) > 1]


def _reference(named: Sequence[pd.DataFrame], labels: Sequence[str]) -> str:
    controls = [name for name in labels if any(name in t.index and t.loc[name, "control"] for t in named)]
    return DEFAULT if DEFAULT in labels else next(iter([*controls, *labels]), "")


def _known(table: pd.DataFrame, objective: Objective) -> pd.DataFrame:
    """The rows whose value compares."""
    return table[np.isfinite(table[objective.metric].astype(float)) & tables.compares(table, [objective])]


def _scale(named: Sequence[pd.DataFrame], objective: Objective) -> str:
    """What effects on this objective are, for all studies the same."""
    metric = objective.metric
    if split_metric(metric)[1] in SAME_SCALE or is_accuracy(metric):
        return "difference"
    rows = pd.concat([_known(table, objective) for table in named])
    errors = rows[f"{metric}_error"].astype(float).fillna(0.0)
    return "ratio" if (rows[metric] > CLEAR * errors).all() else "share"


def _effects(
    named: Sequence[pd.DataFrame],
    alike: Sequence[str | None],
    objective: Objective,
    scale: str,
    name: str,
    reference: str,
) -> list[tuple[object, ...]]:
    """Rows of `Across.effects`, one for each study that has both. Of studies of the same data the first one with an
    interval enters."""
    found, entered = [], set()
    for place, table in enumerate(named):
        rows = _known(table, objective)
        if name not in rows.index or reference not in rows.index:
            continue
        means, noise = rows[objective.metric].to_numpy(float), tables.noise_of(rows, objective.metric)
        one, other = (int(rows.index.get_loc(n)) for n in (name, reference))
        size, own, half = effect(means, noise, one, other, scale)
        if math.isnan(size):
            continue
        enters = math.isfinite(half) and alike[place] is not None and alike[place] not in entered
        entered |= {alike[place]} if enters else set()
        found.append((objective, name, place, size, own, half, enters))
    return found


def effect(means: np.ndarray, noise: Noise, one: int, other: int, scale: str) -> tuple[float, float, float]:
    """(effect, its standard error, half a 95 % interval) of configuration `one` against `other`, of `means` (n,) with
    their noise; `scale` as in `Across`. What both have of the same seeds cancels (see `noise.critical`). NaN where a
    mean of 0 makes no ratio, or all are 0."""
    usual = math.sqrt(float(np.mean(means**2))) if scale == "share" else 1.0
    unit = np.abs(means) if scale == "ratio" else np.full(len(means), usual)
    if not unit[[one, other]].all():
        return math.nan, math.nan, math.nan
    values = np.log(unit) if scale == "ratio" else means / usual
    # Of a logarithm, the first term of the series: the error of the mean over the mean.
    with np.errstate(divide="ignore", invalid="ignore"):
        own = np.fmax(noise.own / unit, ROUNDING / 4 + 0 * noise.own)
        scaled = replace(noise, error=noise.error / unit, own=own, seeds=noise.seeds / unit[:, None])
    half = critical(scaled, np.array([one]), np.array([other]), ERROR / 2)[0, 0]
    error = math.hypot(own[one], own[other], *(scaled.seeds[one] - scaled.seeds[other]))
    return float(values[one] - values[other]), error, float(half)


def _data_sets(studies: Sequence[StudyData]) -> list[str | None]:
    """Of each study what data set it is of, the same for studies whose images are the same or overlap; None where that
    is not recorded."""
    found: list[str | None] = []
    seen: dict[str, str] = {}
    for study in studies:
        data = study.manifest.get("data", {})
        source = str(data.get("source") or "")
        known = [name for name in (PART_OF.get(source, source), str(data.get("digest") or "")) if name]
        key = next((seen[name] for name in known if name in seen), known[0] if known else None)
        seen |= dict.fromkeys(known, key) if key is not None else {}
        found.append(key)
    return found


def _of_data(names: Sequence[str], alike: Sequence[str | None]) -> list[str]:
    found = []
    for data in dict.fromkeys(alike):
        same = [name for name, of in zip(names, alike, strict=True) if of == data]
        if data is None:
            found.append(f"Of which data {' and '.join(same)} had is not recorded: not combined.")
        elif len(same) > 1:
            text = (
                f"{' and '.join(same)} are of the same images and so no independent data sets: of each configuration "
            )
            found.append(text + "only the first that has an interval is combined.")
    return found


def _without_intervals(names: Sequence[str], effects: pd.DataFrame) -> list[str]:
    places = sorted(effects.loc[effects["half"].isna(), "study"].unique())
    return [f"{names[p]} has effects without replicates: without intervals, and not combined." for p in places]


def _few(effects: pd.DataFrame) -> list[str]:
    """What may be said from so few data sets."""
    if not len(effects):
        return []
    most = int(effects.groupby(["objective", "label"], sort=False)["enters"].sum().max())
    if most < 2:
        return ["No configuration has effects with intervals on two data sets, so nothing is combined."]
    wide = (
        "Two data sets leave one degree of freedom to tell how data sets differ: combined intervals are honest, and so "
    )
    return (
        [wide + "wide (12.7 standard errors to each side; 4.3 with three) that little can differ."] if most == 2 else []
    )


def _combined(effects: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for (objective, name), group in effects.groupby(["objective", "label"], sort=False):
        group = group[group["enters"]]
        whole = together(group["effect"].to_numpy(float), group["error"].to_numpy(float))
        of = (math.nan,) * 5
        if whole is not None:
            of = (whole.mean, whole.half, whole.tau, whole.half_of_another, whole.chance)
        rows.append((objective, name, len(group), *of))
    table = pd.DataFrame(rows, columns=COMBINED[:-1])
    table["chance"] = holm(table["chance"].to_numpy(float))
    return table.assign(differs=table["chance"] <= ERROR)
