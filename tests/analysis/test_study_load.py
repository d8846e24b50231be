"""What one file of a store has in another form, or not at all, costs the others nothing."""

import json
import math
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pandas as pd
import pytest
from synthetic import write_study

from analysis.page import page
from analysis.study import columns, provenance, tables
from analysis.study.load import StudyData, load
from evae.results.store import Store

NINE = pd.Timestamp("2026-03-02 09:00:00", tz="UTC")


def series(*values: object) -> pd.Series:
    return pd.Series(list(values), dtype=object)


@pytest.mark.parametrize(
    "value",
    [
        "2026-03-02T09:00:00+00:00",
        "2026-03-02T09:00:00Z",
        "2026-03-02 09:00:00",
        " 2026-03-02 09:00:00.000000 ",
        "2026-03-02T10:00:00+01:00",
        "2026-03-02 04:00-05:00",
        "20260302T090000Z",
        "2026-03-02 09:00:00 UTC",
        '"2026-03-02 09:00:00+00:00"',
        datetime(2026, 3, 2, 9),
        datetime(2026, 3, 2, 9, tzinfo=UTC),
        datetime(2026, 3, 2, 11, tzinfo=timezone(timedelta(hours=2))),
    ],
)
def test_a_time_is_read_whatever_stands_beside_it(value: object) -> None:
    beside = [None, "soon", 1.7e9, 3, "2026-03-02T09:00:00.5+00:00", datetime(9999, 1, 1), [1], b"x", True]
    for order in ([value, *beside], [*beside, value]):
        found = columns.times(series(*order))
        assert found[order.index(value)] == NINE
        assert found.notna().sum() == 3


def test_columns_of_times_keep_their_times() -> None:
    aware, naive = pd.Series([NINE, pd.NaT]), pd.Series([NINE.tz_localize(None), pd.NaT])
    for values in (aware, naive, aware.astype("datetime64[ns, UTC]"), pd.Series(["2026-03-02T09:00Z", None])):
        found = columns.times(values)
        assert found[0] == NINE and found[1] is pd.NaT and str(found.dtype) == "datetime64[us, UTC]"
    for values in (pd.Series([1.5]), pd.Series([True]), pd.Series([], dtype=float), pd.Series(pd.to_timedelta([3]))):
        assert columns.times(values).isna().all()


def test_a_number_is_read_whatever_stands_beside_it() -> None:
    values = ["3", " 4.5 ", '"5"', 6, 7.5, None, "many", math.inf, "nan", [1], {}, datetime(2026, 1, 1), "1e3"]
    found = columns.numbers(series(*values))
    assert found.dropna().tolist() == [3, 4.5, 5, 6, 7.5, 1000]
    assert columns.numbers(pd.Series([NINE])).isna().all()


def test_a_list_of_numbers_is_read_from_text_too() -> None:
    found = columns.lists(series([1, 2.5], "[3, null]", "[1, NaN]", "x", None, 3.0, "4"))
    assert found[0] == [1, 2.5] and found[1][0] == 3 and math.isnan(found[1][1]) and math.isnan(found[2][1])
    assert found[3:].tolist() == [None] * 4


def test_texts_and_flags_are_what_they_say() -> None:
    assert columns.texts(series("a", 3, None, math.nan, b"\xff", [1])).tolist() == [
        "a",
        "3",
        None,
        None,
        r"\xff",
        "[1]",
    ]
    assert columns.flags(series(True, False, "true", "false", None, "dirty")).tolist() == [True, False] * 2 + [None] * 2


def as_text(store: Store, kind: str, key: str, *names: str) -> None:
    rows = [row | {name: str(row[name]) for name in names} for row in store.rows(kind, key)]
    store.write(kind, key, rows)


def test_text_in_one_file_costs_the_others_nothing(tmp_path: Path) -> None:
    store = write_study(tmp_path, configurations=5, seeds=1)
    whole = load(tmp_path)
    trial = whole.trials["trial"].iloc[1]
    numbers = ("number", "seed", "epochs", "wall_s", "gen_sharpness", "val_gen_sharpness")
    as_text(store, "trials", trial, "started_at", "ended_at", "rate_per_latent", *numbers)
    as_text(store, "epochs", trial, "started_at", "ended_at", "epoch", "val_distortion_nats")
    (row,) = store.read("study").to_pylist()
    store.write(
        "study", "earlier", [row | {"session": "2026", "started_at": str(row["started_at"]), "git_dirty": "yes"}]
    )
    found = load(tmp_path)
    for column in ("started_at", "ended_at", "rate_per_latent", *numbers):
        assert found.trials[column].tolist() == whole.trials[column].tolist(), column
    for column in ("trial", "epoch", "started_at", "ended_at", "val_distortion_nats"):
        assert found.epochs[column].tolist() == whole.epochs[column].tolist(), column
    assert found.sessions["started_at"].notna().all()
    assert page.render(found)


def test_code_is_called_changed_only_where_the_manifest_says_so(tmp_path: Path) -> None:
    store = write_study(tmp_path, configurations=2, seeds=1)
    (row,) = store.read("study").to_pylist()
    for flag, said in ((True, True), ("true", True), (False, False), ("false", False), (None, False)):
        store.write("study", row["session"], [row | {"git_dirty": flag}])
        assert any("no commit holds" in text for _, text in provenance.comparable(load(tmp_path))) == said


def test_an_objective_may_have_any_name(tmp_path: Path) -> None:
    """A loss term, or a metric that came later, is no less ranked than one with a known beginning."""
    store = write_study(tmp_path, configurations=4, seeds=2)
    (row,) = store.read("study").to_pylist()
    objectives = [["population_nats", "min"], ["nobody_measured", "max"], ["gen_sharpness", "upwards"], "x"]
    store.write("study", row["session"], [row | {"objectives": json.dumps(objectives)}])
    for row in store.read("trials").to_pylist():
        store.write("trials", row["trial"], [row | {"population_nats": str(row["number"]), "val_population_nats": 1.0}])
    study = load(tmp_path)
    assert [o.metric for o in study.objectives] == ["population_nats", "nobody_measured"]
    assert tables.configurations(study)["population_nats"].tolist() == [0, 1, 2, 3]
    assert page.render(study)


def test_each_trial_has_the_kernel_of_its_configuration_or_none(study: StudyData) -> None:
    kernels = study.trials.groupby("method")["kernel"].agg(set)
    assert kernels["autoencoder"] == {None} and {type(kernel) for kernel in kernels["evae"]} == {str}
