"""No number, drawing or advice for what cannot be known: values that all agree, are not finite, or vary in nothing."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from synthetic import DISTANCE, SHARPNESS, write_study

from analysis.page import page
from analysis.study import advice, tables, timing, words
from analysis.study.load import StudyData, load
from analysis.study.naming import Objective
from analysis.study.space import distribution
from analysis.views import drawing, equal_rate, hypervolume, importance, kernels, parallel, slices

UP, DOWN = Objective("active_units", "max"), Objective("gen_fd_x", "min")
SPACE = {"x": {"low": 0.0, "high": 1.0}, "y": {"low": 0.0, "high": 1.0}}
ROUNDING = np.random.default_rng(3).normal(0, 1e-12, 40)


def ranked(values: np.ndarray, objective: Objective = UP, params: list[dict] | None = None) -> pd.DataFrame:
    random = np.random.default_rng(0)
    params = params or [{"x": float(x), "y": float(y)} for x, y in random.uniform(size=(len(values), 2))]
    return pd.DataFrame({"params": params, objective.metric: values, f"select_{objective.metric}": values})


@pytest.mark.parametrize(
    "values",
    [
        np.zeros(40),
        np.full(40, 16.0),
        16 * (1 + ROUNDING),
        np.full(40, np.inf),
        np.full(40, -np.inf),
        np.full(40, np.nan),
        np.where(np.arange(40) < 3, 0.0, 16.0),  # most are at the best
        np.where(np.arange(40) < 3, 0.0, 16 * (1 + ROUNDING)),
    ],
    ids=["zero", "constant", "rounding", "infinite", "minus infinite", "nan", "most the best", "most but for rounding"],
)
def test_what_does_not_vary_has_no_importance(values: np.ndarray, capfd: pytest.CaptureFixture[str]) -> None:
    assert importance.importance(SPACE, ranked(values), UP).empty
    assert importance.importance(SPACE, ranked(-values, DOWN), DOWN).empty
    assert capfd.readouterr() == ("", "")


def test_few_that_are_better_than_the_rest_have_an_importance() -> None:
    x = np.random.default_rng(0).uniform(size=(40, 2))[:, 0]
    found = importance.importance(SPACE, ranked(np.where(x > 0.8, 1.0, 0.0)), UP)
    assert found["parameter"].iloc[0] == "x" and found["share"].iloc[0] > 0.6


@pytest.mark.parametrize(
    "space", [{}, {"x": SPACE["x"]}, {"x": SPACE["x"], "y": {"low": 0.5, "high": 0.5}}, {"x": "?", "y": {"low": "0"}}]
)
def test_a_lone_parameter_has_no_share(space: dict) -> None:
    values = np.random.default_rng(1).normal(size=40)
    assert importance.importance(space, ranked(values), UP).empty


def test_a_parameter_that_took_one_value_has_no_share() -> None:
    random = np.random.default_rng(1)
    params = [{"x": float(x), "y": float(y), "z": 0.5} for x, y in random.uniform(size=(40, 2))]
    found = importance.importance(SPACE | {"z": SPACE["x"]}, ranked(random.normal(size=40), UP, params), UP)
    assert sorted(found["parameter"]) == ["x", "y"]


@pytest.mark.parametrize(
    "text",
    [None, 3, {}, {"low": 1}, {"low": "1", "high": "2"}, {"low": 1, "high": math.nan}, {"low": None, "high": None},
     {"low": 0, "high": 1, "log": True}, {"choices": [[1], [2]]}, {"choices": "ab"}, {"choices": []}],
)  # fmt: skip
def test_what_describes_no_range_is_none(text: object) -> None:
    assert distribution(text) is None


def over_rates(rates: dict[str, np.ndarray], values: Callable[[np.ndarray], np.ndarray]) -> pd.DataFrame:
    rows = [
        {"kernel": kernel, "rate_nats": rate, "rate_is": "exact", DOWN.metric: value}
        for kernel, of in rates.items()
        for rate, value in zip(of, values(of), strict=True)
    ]
    return pd.DataFrame(rows).assign(**{f"select_{DOWN.metric}": lambda t: t[DOWN.metric]})


def noisy(rate: np.ndarray) -> np.ndarray:
    return 50 - 10 * np.log(rate) + np.random.default_rng(len(rate)).normal(0, 1, len(rate))


def test_a_kernel_is_not_told_from_its_rate_where_each_was_tried_at_its_own() -> None:
    assert equal_rate.at_equal_rate(over_rates({"a": np.full(8, 10.0), "b": np.full(9, 20.0)}, noisy), DOWN).empty


def test_at_rates_that_agree_kernels_have_their_means() -> None:
    table = over_rates({"a": np.full(8, 10.0), "b": np.full(9, 10.0)}, noisy)
    found = equal_rate.at_equal_rate(table, DOWN).set_index("kernel")["value"]
    assert found.to_dict() == pytest.approx(table.groupby("kernel")[DOWN.metric].mean().to_dict())


@pytest.mark.parametrize("value", [3.0, math.nan, math.inf])
def test_kernels_of_one_value_are_not_compared_at_equal_rate(value: float) -> None:
    rates = {kernel: np.linspace(5, 30, 9) for kernel in "ab"}
    assert equal_rate.at_equal_rate(over_rates(rates, lambda rate: np.full(len(rate), value)), DOWN).empty
    infinite = over_rates({"a": np.full(8, math.inf), "b": np.full(8, math.inf)}, lambda rate: np.ones(8))
    assert equal_rate.at_equal_rate(infinite, DOWN).empty


def test_one_kernel_is_no_comparison_and_few_configurations_have_no_quartiles(study: StudyData) -> None:
    table = tables.configurations(study)
    objective = study.objectives[0]
    one = table.assign(kernel=table["kernel"].where(table["kernel"] == "cosine", None))
    assert kernels.kernels(one, objective).empty and not kernels.charts(study, one)
    found = kernels.kernels(table, objective)
    assert (found["low"].isna() == (found["n"] < 4)).all() and found["median"].notna().all()


@pytest.mark.parametrize("values", [np.full(40, 3.0), 3 * (1 + ROUNDING)], ids=["constant", "rounding"])
def test_values_that_agree_have_no_band_and_no_place(values: np.ndarray) -> None:
    x = np.linspace(1, 2, 40)
    assert slices.smooth(x, values).empty
    axis = parallel.dimension("", list(values))
    assert len(axis.ticks) == 1 and np.ptp(axis.at) < 1e-9
    drawn = drawing.figure("x", "y")
    drawing.fit_range(drawn, "y", pd.Series(values), {})
    low, high = drawn.layout.yaxis.range
    assert low < 2.8 and high > 3.2


def test_a_parameter_that_is_not_a_number_is_no_place_in_a_slice() -> None:
    params = [{"x": value} for value in (1.0, math.nan, math.inf, None, "3", True, 2)]
    assert slices.values(pd.DataFrame({"params": params}), "x")[0].tolist() == [1, 2]


def test_a_distortion_that_does_not_fall_asks_for_no_longer_training(study: StudyData) -> None:
    flat = 90 * (1 + ROUNDING[:8])
    curve = pd.DataFrame({"trial": "t", "configuration": "c", "epoch": range(1, 9), "val_distortion_nats": flat})
    some = replace(study, epochs=curve, trials=study.trials.head(1).assign(trial="t", state="finished"))
    assert advice.late_progress(some).empty


def test_seconds_that_nobody_recorded_are_no_share_of_time(study: StudyData) -> None:
    unknown = replace(study, trials=study.trials.assign(train_s=np.nan), epochs=study.epochs.assign(train_s=np.nan))
    assert timing.timing(unknown).empty
    assert "training" not in words.progress(unknown)


@pytest.fixture
def constant(tmp_path: Path) -> StudyData:
    """A study of which one objective has the same value everywhere, but for rounding."""
    store = write_study(tmp_path, configurations=20)
    for row, noise in zip(store.read("trials").to_pylist(), ROUNDING, strict=True):
        if row["state"] == "finished":
            row |= {SHARPNESS: 0.1 * (1 + noise), f"val_{SHARPNESS}": 0.1 * (1 - noise)}
        store.write("trials", row["trial"], [row])
    return load(tmp_path)


def test_a_study_with_a_constant_objective_claims_nothing_of_it(constant: StudyData) -> None:
    table = tables.configurations(constant)
    front = tables.front(table, constant.objectives)
    grown, shares = hypervolume.history(constant, table), importance.shares(constant, table)
    assert grown.empty and [o.metric for o in shares] == [DISTANCE]
    said = advice.next_steps(constant, table, front, grown, shares)["text"].str.cat(sep=" ")
    assert "generation sharpness" not in said and "hypervolume" not in said
    assert "by more than noise" not in words.best(table, constant.objectives[1])
    text = page.render(constant)
    data = json.loads(text[text.index('id="data">') + 10 :].partition("</script>")[0])
    assert "hypervolume" not in data["figures"] and "front" in data["figures"]
    assert f"rate-{SHARPNESS}" not in data["figures"]


def test_where_all_agree_none_is_best(study: StudyData) -> None:
    objective = study.objectives[0]
    same = {
        c: study.trials[c].where(study.trials[c].isna(), 2.0) for c in (objective.metric, f"val_{objective.metric}")
    }
    constant = replace(study, trials=study.trials.assign(**same))
    table = tables.configurations(constant)
    said = words.best(table, objective) + words.flattered(constant, table, objective)
    assert said.startswith("All ") and "have the same" in said and "none is best" in said and "luck" not in said
    assert page.render(constant)
