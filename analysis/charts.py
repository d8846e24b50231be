"""The charts of the report, section by section: which tables are drawn, with what beside them."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

from analysis import curves, figures, footing, hypervolume, naming, parallel, slices, tables, timing
from analysis.load import StudyData
from analysis.naming import Objective

Shares = Mapping[Objective, pd.DataFrame]
HIGHLIGHTED = 10  # configurations whose learning curves are drawn in colour


@dataclass(frozen=True)
class Chart:
    """A figure on the page: `minimum` is the width in pixels below which it scrolls instead of shrinking.

    `said` is what a screen reader says of it.
    """

    key: str
    title: str
    figure: go.Figure
    said: str
    note: str = ""
    minimum: int = 0


def draw(study: StudyData, table: pd.DataFrame, front: pd.DataFrame, shares: Shares) -> dict[str, list[Chart]]:
    """The charts of each section; a section without data has none.

    `table` is that of `tables.configurations`, `front` that of `tables.front`, `shares` those of `importance.shares`.
    """
    return {
        "front": fronts(study, table, front),
        "kernels": kernels(study, table),
        "importance": importances(shares),
        "slices": effects(study, front),
        "rate": rates(study, front),
        "parameters": parallels(study, front),
        "learning": learning(study, front),
        "time": timelines(study),
    }


def fronts(study: StudyData, table: pd.DataFrame, front: pd.DataFrame) -> list[Chart]:
    if not len(front):
        return []
    objectives = study.objectives
    floors = {o.metric: tables.floor(study, o.metric) for o in objectives}
    title = f"{objectives[0].label} against {objectives[1].label}" if len(objectives) > 1 else objectives[0].label
    drawn = figures.front(front, objectives, tables.real_sharpness(study), floors)
    said = f"{title}: {naming.count(len(front), 'configuration')}, {int(front['on_front'].sum())} on the front."
    found = [Chart("front", title, drawn, said)]
    grown = hypervolume.history(study, table)
    if len(grown):
        note = "Of the box between the best and the worst value of each objective, on the split that ranks. "
        note += "Where it no longer rises, more configurations brought no better front."
        said = f"Hypervolume of the front after each configuration; it ends at {grown['share'].iloc[-1]:.2f}."
        found.append(Chart("hypervolume", "How the front grew", hypervolume.figure_of(grown), said, note))
    return found


def kernels(study: StudyData, table: pd.DataFrame) -> list[Chart]:
    found = []
    for objective in study.objectives:
        by_kernel = tables.kernels(table, objective)
        if len(by_kernel):
            drawn = figures.kernels(by_kernel, tables.ranked(table, [objective]), objective)
            said = f"{objective.label} by kernel; best at equal tries: {by_kernel['kernel'].iloc[0]}."
            title = f"{objective.label} at an equal number of tries"
            found.append(Chart(f"kernels-{objective.metric}", title, drawn, said))
    for objective in study.objectives:
        equal = footing.at_equal_rate(table, objective)
        if len(equal):
            title = f"{objective.label} at a rate of {naming.number(float(equal['rate'].iloc[0]))} nats"
            said = f"{title}: best {equal['kernel'].iloc[0]}; within noise of it: "
            said += ", ".join(equal.loc[equal["within_noise"], "kernel"].iloc[1:]) or "none"
            note = "Only configurations whose rate is the exact KL divergence; bars are 95 % intervals."
            drawn = footing.figure_of(equal, objective)
            found.append(Chart(f"rate-{objective.metric}", title, drawn, said + ".", note))
    return found


def importances(shares: Shares) -> list[Chart]:
    if not shares:
        return []
    first = {o: naming.parameter(found["parameter"].iloc[0]) for o, found in shares.items()}
    said = "; ".join(f"{o.label}: most important is {name}" for o, name in first.items())
    return [Chart("importance", "", figures.importance(shares), said + ".")]


def effects(study: StudyData, front: pd.DataFrame) -> list[Chart]:
    """A slice of each objective over each numeric parameter."""
    if not len(front):
        return []
    found = []
    for parameter in slices.parameters(front):
        for objective in study.objectives:
            drawn = slices.slice_figure(front, parameter, study.objectives, objective)
            title = f"{objective.label} over {naming.parameter(parameter)}"
            found.append(Chart(f"slice-{parameter}-{objective.metric}", title, drawn, f"{title}, with a smooth fit."))
    return found


def rates(study: StudyData, front: pd.DataFrame) -> list[Chart]:
    if not len(front) or not {"rate_nats", "distortion_nats"} <= set(front):
        return []
    known = front[front["rate_nats"].notna() & front["distortion_nats"].notna()]
    if not len(known):
        return []
    drawn = figures.rate_distortion(known, study.objectives)
    bounds = int((known["rate_is"] == "bound").sum())
    note = f"Of {naming.count(bounds, 'configuration')} the rate is a bound or an approximation: these do not compare "
    note += "with the others along this axis." if bounds else ""
    return [Chart("rate-distortion", "", drawn, "Distortion over rate.", note if bounds else "")]


def parallels(study: StudyData, front: pd.DataFrame) -> list[Chart]:
    if not len(front):
        return []
    drawn = parallel.parallel_coordinates(front, study.objectives)
    count = len({c for trace in drawn.data for c in trace.customdata})
    note = "; ".join(f"{o.label}: {naming.unit(o.metric)}" for o in study.objectives if naming.unit(o.metric))
    if count < len(front):
        note += (
            f". {count:,} of {len(front):,} configurations are drawn: the front, the controls, others evenly by rank."
        )
    return [Chart("parallel", "", drawn, "Parameters and objectives of each configuration as a line.", note, 860)]


def learning(study: StudyData, front: pd.DataFrame) -> list[Chart]:
    shown = front[front["on_front"] | front["label"].notna()].head(HIGHLIGHTED)
    highlight = dict(zip(shown["configuration"], shown["name"], strict=True))
    stops, rungs, found = tables.stops(study), tables.rungs(study), []
    for metric, label in (("val_distortion_nats", "distortion"), ("val_rate_nats", "rate")):
        table, k = curves.thin(tables.learning_curves(study, metric))
        if len(table):
            drawn = curves.learning_curves(
                table, metric, f"validation {label} (nats per image)", highlight, stops, rungs
            )
            note = f"Of each trial the first, the last and one in {k} epochs between are drawn." if k > 1 else ""
            title = f"{label} on the validation split"
            said = f"{title} by epoch, {naming.count(table['trial'].nunique(), 'trial')}, {len(stops):,} stopped early."
            found.append(Chart(metric, title, drawn, said, note))
    return found


def timelines(study: StudyData) -> list[Chart]:
    lanes = timing.timeline(study)
    if not len(lanes):
        return []
    note = f"The longest {curves.BARS:,} of {len(lanes):,} trials are drawn." if len(lanes) > curves.BARS else ""
    said = f"When each trial ran, on {naming.count(lanes['lane'].nunique(), 'worker')}."
    return [Chart("timeline", "", curves.timeline(lanes), said, note)]
