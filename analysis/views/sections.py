"""The charts of the report, section by section."""

from collections.abc import Mapping

import pandas as pd

from analysis.study.load import StudyData
from analysis.study.naming import Objective
from analysis.views import (
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
    `shares` those of `importance.shares`.
    """
    return {
        "front": front.charts(study, ranks) + hypervolume.charts(study, grown),
        "kernels": kernels.charts(study, table) + equal_rate.charts(study, table),
        "importance": importance.charts(shares),
        "slices": slices.charts(study, ranks),
        "rate": rate_distortion.charts(study, ranks),
        "parameters": parallel.charts(study, ranks),
        "learning": learning.charts(study, ranks),
        "time": timeline.charts(study),
    }
