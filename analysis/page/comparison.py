"""The page on which several studies stand side by side.

First what named configurations are against a reference, which compares across data sets; then the values, which do not:
those of different identity (features, resize rule, counts, split, seed, images) are never drawn on one axis: the page
has a chart for each group of studies that agree, and says in what the groups differ.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

from analysis.page import effects, page
from analysis.study import identities, naming, tables
from analysis.study.across import Across, across
from analysis.study.load import StudyData, load
from analysis.study.naming import ON_FEATURES, Objective, is_accuracy, is_distance, is_likelihood, split_metric
from analysis.views import drawing, theme
from analysis.views.forest import forest
from evae.errors import UserError


@dataclass(frozen=True)
class Group:
    """Studies (by their place) whose values of some objectives share an axis, and in what the others differ."""

    members: tuple[int, ...]
    reasons: tuple[str, ...]


def identity(study: StudyData, metric: str) -> dict[str, str]:
    """What the values of a metric hang on, as texts; of one that has no identity only the images."""
    data = study.manifest.get("data", {})
    found = {"images": f"{data.get('source', 'unknown')} {data.get('digest', '')}".strip()}
    rows = identities.of_metric(study, metric)
    return found | {key: " and ".join(sorted({*map(_known, rows[key])})) or "unknown" for key in _keys(metric)}


def _keys(metric: str) -> tuple[str, ...]:
    """What must agree for two values of a metric to compare; empty for one that has no identity."""
    if is_accuracy(metric):
        return identities.OF_ACCURACIES
    if is_likelihood(metric):
        return identities.OF_LIKELIHOODS
    return identities.OF_DISTANCES if is_distance(metric) or split_metric(metric)[1] in ON_FEATURES else ()


def _known(value: object) -> str:
    # Counts are floats in a column that not every metric has.
    whole = isinstance(value, float) and value.is_integer()
    return "unknown" if pd.isna(value) else str(int(value) if whole else value)


def groups(studies: Sequence[StudyData], objectives: Sequence[Objective]) -> list[Group]:
    """The studies, those together whose values have one identity; reasons are against the first group.

    Values of metrics without an identity share an axis whatever they were taken on, since their scale is the same.
    """
    metrics = [o.metric for o in objectives if _keys(o.metric)]
    known = [{(m, k): v for m in metrics for k, v in identity(study, m).items()} for study in studies]
    found: dict[str, list[int]] = {}
    for i, one in enumerate(known):
        found.setdefault(repr(sorted(one.items())), []).append(i)
    first = known[0]
    return [
        Group(
            tuple(members),
            tuple(
                f"{naming.label(metric)}: {key} is {value}, of the first {first[metric, key]}"
                for (metric, key), value in known[members[0]].items()
                if first[metric, key] != value
            ),
        )
        for members in found.values()
    ]


def shared(studies: Sequence[StudyData]) -> list[Objective]:
    """The objectives of any study that all have measured. Raises UserError when there is none."""
    every = {o.metric: o for study in reversed(studies) for o in reversed(study.objectives)}
    found = [o for o in reversed(every.values()) if all(measured(study, o) for study in studies)]
    if not found:
        wanted = ", ".join(every) or "no objective"
        raise UserError(
            f"the studies have {wanted}, none of which all of them have measured, so there is nothing to "
            "compare. Name studies that share an objective; distances on other features are other metrics."
        )
    return found


def measured(study: StudyData, objective: Objective) -> bool:
    return objective.metric in study.trials and bool(study.trials[objective.metric].notna().any())


def missing(studies: Sequence[StudyData], names: Sequence[str]) -> list[str]:
    """What is said of objectives that not all studies have measured."""
    found = []
    for o in dict.fromkeys(o for study in studies for o in study.objectives):
        lacking = [name for study, name in zip(studies, names, strict=True) if not measured(study, o)]
        if lacking:
            found.append(f"{o.metric} is left out: {' and '.join(lacking)} did not measure it.")
    return found


def best(studies: Sequence[StudyData], objectives: Sequence[Objective]) -> pd.DataFrame:
    """Rows (study, objective, direction, name, value, half, n): each study's best by the split that ranks."""
    rows = []
    for study in studies:
        table = tables.configurations(study)
        for objective in objectives:
            ranks = tables.best if objective in study.objectives else _plain_best
            order = tables.judged(ranks(table, objective))
            for _, row in order.head(1).iterrows():
                half = row.get(f"{objective.metric}_chosen", float("nan"))
                name = study.location if len({s.name for s in studies}) < len(studies) else study.name
                rows.append((name, objective, row["name"], row[objective.metric], half, int(row["n"])))
    return pd.DataFrame(rows, columns=["study", "objective", "name", "value", "half", "n"])


def _plain_best(table: pd.DataFrame, objective: Objective) -> pd.DataFrame:
    """By the test split, where the metric was no objective of the study."""
    known = table[table[objective.metric].notna() & tables.compares(table, [objective])]
    return known.loc[(objective.sign * known[objective.metric]).sort_values().index]


def figure(studies: Sequence[StudyData], names: Sequence[str], objectives: Sequence[Objective]) -> go.Figure:
    """All finished configurations of each study: the first objective over the second, or over its order."""
    down, across = objectives[0], objectives[1] if len(objectives) > 1 else None
    drawn = drawing.figure(across.axis if across else "configuration (order of suggestion)", down.axis, height=480)
    for i, (study, name) in enumerate(zip(studies, names, strict=True)):
        table = tables.configurations(study)
        known = table[[o.metric for o in objectives[:2]]].notna().all(axis=1)
        table = table[known & tables.compares(table, objectives[:2])]
        drawn.add_scatter(
            x=table[across.metric] if across else table["number"],
            y=table[down.metric],
            mode="markers",
            name=name,
            marker=dict(
                color=theme.COLOURS[i % len(theme.COLOURS)], symbol=theme.SYMBOLS[i % len(theme.SYMBOLS)], size=9
            ),
            text=table["name"],
            hovertemplate="%{text}: %{y:.4g}<extra>" + name + "</extra>",
        )
    return drawn


def render(locations: Sequence[str], against: str | None = None) -> str:
    """The page's HTML. Raises UserError for fewer than two studies, ones that share no objective, and a configuration
    to compare `against` that no two of them have."""
    if len(locations) < 2:
        raise UserError("name two studies or more to compare, e.g. results/kernel-sweep results/faces")
    studies = [load(location) for location in locations]
    objectives = shared(studies)
    unique = len({s.name for s in studies}) == len(studies)
    names = [s.name if unique else s.location for s in studies]
    found, together = groups(studies, objectives), across(studies, names, objectives, against)
    drawn = {
        f"group-{k}": page.plain(figure([studies[i] for i in g.members], [names[i] for i in g.members], objectives))
        for k, g in enumerate(found)
    }
    forests = {
        f"forest-{o.metric}": (o, forest_of(together, names, o)) for o in objectives if _has_effects(together, o)
    }
    drawn |= {key: page.plain(chart) for key, (_, chart) in forests.items()}
    rows = best(studies, objectives)
    rows["text"] = [naming.interval(value, half) for value, half in zip(rows["value"], rows["half"], strict=True)]
    return page.template("compare.html").render(
        names=names,
        studies=studies,
        reference=together.reference,
        effects=effects.rows(together, names),
        sentences=effects.sentences(together),
        notes=[*together.notes, *missing(studies, names)],
        family=int(together.combined["chance"].notna().sum()),
        forests=[(key, objective, chart.layout.height) for key, (objective, chart) in forests.items()],
        groups=[(f"group-{k}", [names[i] for i in g.members], g.reasons) for k, g in enumerate(found)],
        rows=rows.to_dict("records"),
        data=page.script_json({"figures": drawn, "themes": page.themes()}),
        **page.assets(("compare.js",)),
    )


def _has_effects(found: Across, objective: Objective) -> bool:
    return bool((found.effects["objective"] == objective).any())


def forest_of(found: Across, names: Sequence[str], objective: Objective) -> go.Figure:
    return forest(found, names, objective, f"{objective.label}: {effects.meaning(found, objective)}")
