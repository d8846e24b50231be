"""The charts of the report, section by section."""

from collections.abc import Mapping

import pandas as pd

from analysis.study import tables
from analysis.study.load import StudyData
from analysis.study.naming import Objective
from analysis.views import (
    clouds,
    equal_rate,
    front,
    hypervolume,
    importance,
    kernels,
    learning,
    parallel,
    rate_distortion,
    slices,
    timeline,
)
from analysis.views.drawing import Chart


def draw(
    study: StudyData,
    table: pd.DataFrame,
    ranks: pd.DataFrame,
    grown: pd.DataFrame,
    shares: Mapping[Objective, pd.DataFrame],
) -> dict[str, list[Chart]]:
    """The charts of each section; a section without data has none.

    `table` is that of `tables.configurations`, `ranks` that of `tables.front`, `grown` that of `hypervolume.history`,
    `shares` those of `importance.shares`. What is said of the space as a whole is so by the search's seeds alone.
    """
    searched, searched_ranks = tables.by_search(study, table, ranks)
    return {
        "front": front.charts(study, ranks) + hypervolume.charts(study, grown),
        "clouds": clouds.charts(study, ranks),
        "kernels": kernels.charts(study, table) + equal_rate.charts(study, searched),
        "importance": importance.charts(shares),
        "slices": slices.charts(study, searched_ranks),
        "rate": rate_distortion.charts(study, ranks),
        "parameters": parallel.charts(study, searched_ranks),
        "learning": learning.charts(study, ranks),
        "time": timeline.charts(study),
    }
