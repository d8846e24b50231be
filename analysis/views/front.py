"""The front: the first objective against the second, with what dominates what beyond noise."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from analysis.study import identities, naming, sources, tables
from analysis.study.load import StudyData
from analysis.study.naming import Objective, source, source_words
from analysis.views import theme
from analysis.views.drawing import CHOSE, Chart, figure, fit_range, scatter


def charts(study: StudyData, front: pd.DataFrame) -> list[Chart]:
    """The front; and where its samples were drawn from other sources too, what it is by these."""
    if not len(front):
        return []
    own = dict.fromkeys(source_words(source(o.metric)) for o in study.objectives if source(o.metric))
    others = sources.other_sources(study)
    found = [_chart(study, front, study.objectives, "front", " and ".join(own) if others else "")]
    for other, objectives in others.items():
        table = tables.front(sources.of_source(study, objectives), objectives)
        if len(table):
            found.append(_chart(study, table, objectives, f"front-{other}", source_words(other)))
    return found


def _chart(study: StudyData, front: pd.DataFrame, objectives: Sequence[Objective], key: str, choice: str) -> Chart:
    floors = {o.metric: identities.floor(study, o.metric) for o in objectives}
    title = f"{objectives[0].label} against {objectives[1].label}" if len(objectives) > 1 else objectives[0].label
    drawn = front_figure(front, objectives, tables.real_sharpness(study), floors)
    said = f"{title}: {naming.count(len(front), 'configuration')}, {int(front['on_front'].sum())} on the front."
    by_test = [o.label for o in objectives if study.ranked_by_validation and study.selection_column(o) == o.metric]
    note = f"The search did not look at the {' and '.join(by_test)}: ranked by test values." if by_test else ""
    return Chart(key, title, drawn, said, note, choice=choice)


def front_figure(
    table: pd.DataFrame, objectives: Sequence[Objective], real_sharpness: float, floors: dict[str, float]
) -> go.Figure:
    """The first objective against the second, at test values; a single one is drawn in order of suggestion.

    `table` is that of `tables.front`; `floors` holds those of distances (`identities.floor`). Where configurations were
    by the seeds that chose them is drawn in grey.
    """
    down, across = objectives[0], objectives[1] if len(objectives) > 1 else None
    drawn = figure(across.axis if across else "configuration (order of suggestion)", down.axis, height=540)
    columns = across.metric if across else "number", down.metric
    _draw_choice(drawn, table[table["confirmed"]], columns)
    scatter(drawn, table, objectives, columns)
    for objective, side in ((down, "y"), *([(across, "x")] if across else [])):
        values = pd.concat([table[objective.metric], table[f"searched_{objective.metric}"]])
        fit_range(drawn, side, values, _marks(objective, real_sharpness, floors))
    return drawn


def _draw_choice(drawn: go.Figure, rows: pd.DataFrame, columns: tuple[str, str]) -> None:
    """Where confirmed configurations were by the search's seeds, in grey, with a line from there to where they are."""
    if not len(rows):
        return
    now = [rows[column].to_numpy(float) for column in columns]
    then = [rows.get(f"searched_{column}", rows[column]).to_numpy(float) for column in columns]
    x, y = (np.stack([*pair, np.full(len(rows), np.nan)], axis=1).ravel() for pair in zip(then, now, strict=True))
    common = dict(hoverinfo="skip", meta="configuration", legendgroup="chose", name=CHOSE)
    grey = dict(color=theme.GREY, width=1)
    drawn.add_scatter(
        x=x, y=y, mode="lines", line=grey, opacity=0.6, customdata=list(np.repeat(rows["configuration"], 3)), **common
    )
    mark = dict(color=theme.GREY, symbol="x-thin-open", size=6, line=dict(width=1.5, color=theme.GREY))
    drawn.add_scatter(
        x=then[0], y=then[1], mode="markers", marker=mark, customdata=list(rows["configuration"]), **common
    )
    drawn.data[-2].showlegend = False


def _marks(objective: Objective, real_sharpness: float, floors: dict[str, float]) -> dict[str, float]:
    """What real images reach in this objective, by name."""
    marks = {}
    if source(objective.metric):
        average = ", on average" if naming.is_kernel_distance(objective.metric) else ""
        marks[f"real against real{average}"] = floors.get(objective.metric, math.nan)
    if objective.metric.endswith("sharpness"):
        marks["real images"] = real_sharpness
    if naming.is_gap(objective.metric):
        marks["as sharp as real images"] = 0.0
    return {name: value for name, value in marks.items() if math.isfinite(value)}
